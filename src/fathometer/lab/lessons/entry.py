"""A lesson: prose with gaps for numbers, and what fills and draws them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Any

from fathometer.lab.answers import power
from fathometer.lab.setting import Setting

Real = int | float
Points = Sequence[tuple[Real, Real | None]]


@dataclass(frozen=True)
class Slider:
    """The one thing to turn in a lesson; `log` spaces it by ratios."""

    label: str
    least: Real
    most: Real
    first: Real
    log: bool = False
    step: Real = 1


@dataclass(frozen=True)
class Line:
    """A named line of a picture; a `quiet` one is a reference, drawn thin and grey."""

    name: str
    points: Points
    quiet: bool = False


@dataclass(frozen=True)
class Picture:
    """A small chart: lines over an x axis; `log_y` says that y values are logarithms to base 10; `mark` is an x to mark."""

    title: str
    x: str
    lines: tuple[Line, ...]
    log_y: bool = False
    mark: Real | None = None
    see: str = ""
    y: tuple[Real, Real] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the page."""
        lines = [
            {"name": line.name, "quiet": line.quiet, "points": [_rounded(point) for point in line.points]} for line in self.lines
        ]
        return {**vars(self), "lines": lines}


@dataclass(frozen=True)
class Shown:
    """What a lesson shows for one place of its slider: the numbers of its prose, in words, and its pictures."""

    numbers: Mapping[str, str]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Lesson:
    """One lesson. Every number in `claim`, `prose` and `task` is a gap in braces that `show` fills.

    `opens` is a setting for the lab with the words of its button.
    """

    title: str
    claim: str
    prose: tuple[str, ...]
    task: str
    slider: Slider
    show: Callable[[float], Shown]
    opens: tuple[str, Setting] | None = None
    papers: tuple[str, ...] = ()


def amount(value: Real) -> str:
    """Return a number as people write it.

    >>> amount(12289), amount(1.5e9), amount(0.0357), amount(3e-12), amount(7.0)
    ('12,289', '1.5 billion', '0.036', '10⁻¹²', '7')
    """
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 1e15 or size < 1e-4:
        return power(floor(log10(size) + 0.5))
    for least, unit in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if size >= least:
            return f"{value / least:.3g} {unit}"
    return f"{value:,.0f}" if size >= 100 or value == int(value) else f"{value:.2g}"


def logarithms(values: Sequence[Real | None]) -> list[float | None]:
    """Return logarithms to base 10; None for what has none."""
    return [log10(value) if value is not None and value > 0 else None for value in values]


def numbered(values: Sequence[Real | None]) -> list[tuple[Real, Real | None]]:
    """Return values with their places, counted from 1, at most 200 of them."""
    step = max(1, len(values) // 200)
    return [(place + 1, value) for place, value in enumerate(values) if place % step == 0 or place == len(values) - 1]


def _rounded(point: tuple[Real, Real | None]) -> list[Real | None]:
    x, y = point
    return [round(x, 4), None if y is None else round(y, 4)]
