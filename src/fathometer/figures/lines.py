"""Numbers by depth: dots on a thin line, gaps, marks off the scale."""

from collections.abc import Mapping, Sequence
from math import isfinite

import altair as alt

from fathometer.figures.axes import Decades
from fathometer.figures.hover import Row, dot_size
from fathometer.text import number_text

Numbers = Sequence[float | None]


def line_layers(
    series: Mapping[str, Numbers], x: alt.X, y: alt.Y, *, colour: alt.Color, first: int = 1, axis: Decades | None = None
) -> list[alt.Chart]:
    """Return the layers for labelled numbers: None is a gap; what the axis cannot show is a triangle at its floor or ceiling.

    `axis` is the logarithmic axis, None for a linear one, where only numbers that are not finite are off the scale.
    """
    rows = [row for label, numbers in series.items() for row in _rows(label, numbers, first, axis)]
    drawn = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y, color=colour)
    size = dot_size(max(map(len, series.values()), default=0))
    line = drawn.mark_line(style="line", aria=False)
    dots = drawn.mark_point(style="dot").encode(size=size).transform_filter("isValid(datum.value)")
    return [line, dots, *_off_scale(rows, x, colour)]


def value_texts(numbers: Numbers, length: int, axis: Decades | None = None) -> list[str]:
    """Return each number as the tooltip says it, padded to a length; a mark off the scale says where it was drawn."""
    texts = [_value_text(number, axis) for number in numbers]
    return texts + [""] * (length - len(texts))


def _value_text(number: float | None, axis: Decades | None) -> str:
    place = None if number is None else off_scale(number, axis)
    return number_text(number) if place is None else f"{number_text(number)} (drawn at the {place})"


def off_scale(number: float, axis: Decades | None) -> str | None:
    """Return "floor" or "ceiling" for a number that the axis cannot show, None for one that it can."""
    if isfinite(number) if axis is None else axis.holds(number):
        return None
    return "floor" if number < 1 else "ceiling"  # nan is not below 1: it stands with infinity, at the ceiling


def _rows(label: str, numbers: Numbers, first: int, axis: Decades | None) -> list[Row]:
    rows: list[Row] = []
    for depth, number in enumerate(numbers, first):
        place = None if number is None else off_scale(number, axis)
        rows.append({"depth": depth, "network": label, "value": None if place else number, "place": place})
    return rows


def _off_scale(rows: list[Row], x: alt.X, colour: alt.Color) -> list[alt.Chart]:
    marks = {"floor": ("triangle-down", alt.value("height")), "ceiling": ("triangle-up", alt.value(0))}
    layers = []
    for place, (shape, y) in marks.items():
        found = [row for row in rows if row["place"] == place]
        if found:
            chart = alt.Chart(alt.Data(values=found)).mark_point(style="off-scale", shape=shape, size=60)
            layers.append(chart.encode(x=x, y=y, color=colour))
    return layers
