"""Lines with the range over seeds as a band, against any number."""

from collections.abc import Sequence
from math import isfinite
from statistics import median
from typing import Any

import altair as alt

from fathometer.figures.axes import decades, linear_y, log_y, same_axis
from fathometer.figures.reference import reference_layers
from fathometer.figures.theme import colours, finished, legend
from fathometer.text import number_text

FEW = 10  # places on the axis that are all labelled
Line = tuple[str, Sequence[tuple[float, Sequence[float]]]]  # a label, and for each x the values of all seeds


def band_chart(
    lines: Sequence[Line],
    *,
    title: str,
    subtitle: str,
    axis: str,
    log: tuple[bool, bool] = (False, False),
    percent: bool = False,
    reference: tuple[float, str] | None = None,
) -> alt.LayerChart:
    """Draw labelled lines through the median over seeds at each x, in the band of their range; at most four.

    `axis` is the title of x, `log` says whether x and y are logarithmic. Values that are not finite are left out.
    `reference` is a value to compare with, drawn dotted, and what it is.
    """
    rows = [row for label, points in lines for row in _rows(label, points, percent)]
    ends = [row[key] for row in rows for key in ("low", "high")] + ([] if reference is None else [reference[0]])
    y = log_y("value", decades(ends)) if log[1] else linear_y("value", ends, percent=percent)
    labels = [label for label, _ in lines]
    colour = alt.Color("line", type="nominal", scale=colours(labels), legend=legend(labels))
    drawn = alt.Chart(alt.Data(values=rows)).encode(x=_x(axis, rows, log[0]), color=colour)
    band = drawn.mark_area(style="seed-band", aria=False).encode(y=same_axis(y, "low"), y2="high")
    line = drawn.mark_line(style="line").encode(y=y)
    tips = [alt.Tooltip(name, type="nominal", title=text) for name, text in (("line", "line"), ("at", axis), ("words", "value"))]
    dots = drawn.mark_point(style="dot", size=44).encode(y=y, tooltip=tips)
    behind = [] if reference is None else reference_layers(*reference)
    return finished(alt.layer(*behind, band, line, dots), title, subtitle, _describe(title, axis, rows, labels))


def _x(axis: str, rows: Sequence[dict[str, Any]], log: bool) -> alt.X:
    ticks = sorted({row["x"] for row in rows})
    if not log:
        few = _labelled(ticks) if len(ticks) <= FEW else alt.Axis(tickCount=6)
        return alt.X("x", type="quantitative", title=axis, scale=alt.Scale(nice=False, zero=False, padding=8), axis=few)
    look = _labelled(ticks)
    return alt.X("x", type="quantitative", title=axis, scale=alt.Scale(type="log", nice=False, padding=8), axis=look)


def _labelled(ticks: list[float]) -> alt.Axis:
    """Return an axis that labels these places, whole numbers with commas."""
    is_whole = all(tick == int(tick) for tick in ticks)
    words = "format(datum.value, ',d')" if is_whole else "'' + datum.value"
    return alt.Axis(values=ticks, labelOverlap=True, labelExpr=words)


def _rows(label: str, points: Sequence[tuple[float, Sequence[float]]], percent: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for x, values in points:
        known = [value for value in values if isfinite(value)]
        if known:
            middle, low, high = median(known), min(known), max(known)
            words = [f"{value:.1%}" if percent else number_text(value) for value in (middle, low, high)]
            text = words[0] if len(known) == 1 else f"{words[0]} ({words[1]} to {words[2]})"
            rows.append({"x": x, "line": label, "value": middle, "low": low, "high": high, "words": text, "at": number_text(x)})
    return rows


def _describe(title: str, axis: str, rows: Sequence[dict[str, Any]], labels: Sequence[str]) -> str:
    told = []
    for label in labels:
        own = sorted((row for row in rows if row["line"] == label), key=lambda row: row["x"])
        if own:
            told.append(f"{label} goes from {own[0]['words']} to {own[-1]['words']}")
    return f"{title} by {axis}: {'; '.join(told) or 'not measured'}."
