"""The axes that charts share: blocks in depth, decades with labels."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10

import altair as alt

from fathometer.figures.theme import POWERS_FONT
from fathometer.text import number_text, power_text

_LOWEST, _HIGHEST = -307, 308  # the decades that a float holds with all its digits
_FEW = 6  # ticks that a narrow chart holds


@dataclass(frozen=True)
class Decades:
    """A logarithmic axis from 10^low to 10^high; what cannot stand on it is drawn at its ends."""

    low: int
    high: int

    @property
    def floor(self) -> float:
        return 10.0**self.low

    @property
    def ceiling(self) -> float:
        return 10.0**self.high

    def holds(self, value: float) -> bool:
        """Return whether the value stands on the axis; nan, infinity and what is not above 0 do not."""
        return isfinite(value) and self.floor <= value <= self.ceiling

    def clamp(self, value: float) -> float:
        """Return the nearest value on the axis."""
        return min(max(value, self.floor), self.ceiling)


def decades(values: Iterable[float], room_below: bool = False, room_above: bool = False) -> Decades:
    """Return the axis that holds all finite values above 0, with room at an end where marks off the scale are drawn."""
    exponents = [log10(value) for value in values if isfinite(value) and value > 0] or [-1.0, 1.0]
    low, high = floor(min(exponents)), -floor(-max(exponents))
    low, high = (low - 1, high + 1) if low == high else (low, high)
    step = max(1, (high - low) // 10)
    low, high = low - step * room_below, high + step * room_above
    return Decades(max(low, _LOWEST), min(high, _HIGHEST))


def log_y(field: str, axis: Decades) -> alt.Y:
    """Return the logarithmic y channel with one readable label for each few decades."""
    span = axis.high - axis.low
    if span <= 2:
        ticks = {digit * 10.0**power: "" for power in range(axis.low, axis.high) for digit in (1, 2, 5)}
        ticks = {tick: number_text(tick) for tick in (*ticks, axis.ceiling)}
    else:
        step = next(step for step in (1, 2, 3, 5, 10, 20, 50, 100, 200) if span / step <= _FEW)
        powers = [power for power in range(axis.low, axis.high + 1) if power % step == 0]
        ticks = {10.0**power: power_text(power) for power in powers}
    # Labels are looked up by the tick itself, so that Python and the page write numbers alike.
    labels = f"{json.dumps(list(ticks.values()))}[indexof({json.dumps(list(ticks))}, datum.value)]"
    scale = alt.Scale(type="log", domain=[axis.floor, axis.ceiling], nice=False)
    axis_look = alt.Axis(values=list(ticks), labelExpr=labels, labelFont=POWERS_FONT, labelFontSize=10)
    return alt.Y(field, type="quantitative", title=None, scale=scale, axis=axis_look)


def linear_y(field: str, values: Sequence[float], percent: bool = False, whole: bool = False) -> alt.Y:
    """Return the linear y channel from 0 (or from the lowest negative number); `whole` always shows 0 to 1."""
    known = [value for value in values if isfinite(value)]
    low, high = min([0.0, *known]), max([1.0 if whole else 0.0, *known])
    scale = alt.Scale(domain=[low, high if high > low else low + 1], nice=not whole)
    return alt.Y(
        field, type="quantitative", title=None, scale=scale, axis=alt.Axis(tickCount=5, format="%" if percent else ".4~g")
    )


def same_axis(y: alt.Y, field: str) -> alt.Y:
    """Return the y channel of another field on the same axis, as the lower edge of a band has it."""
    copy = y.copy(deep=False)
    copy.shorthand = field
    return copy


def depth_x(first: int, last: int, title: str = "depth (block)") -> alt.X:
    """Return the x channel that counts blocks in the order of execution."""
    return alt.X(
        "depth",
        type="quantitative",
        title=title,
        scale=alt.Scale(domain=[first - 0.5, max(last, first) + 0.5], nice=False, zero=False),
        axis=alt.Axis(values=depth_ticks(first, last), format="d"),
    )


def depth_ticks(first: int, last: int) -> list[int]:
    """Return whole depths to label: the first, round numbers, and the last.

    >>> depth_ticks(1, 50)
    [1, 10, 20, 30, 40, 50]
    """
    step = next((step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if (last - first) / step <= _FEW), 5000)
    inner = [tick for tick in range(0, last, step) if first + 0.5 * step <= tick <= last - 0.5 * step]
    return [first, *inner, *([last] if last > first else [])]
