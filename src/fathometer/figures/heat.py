"""A grid of results as a map, with curves of theory over it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import altair as alt

from fathometer.figures.theme import PALETTE, finished
from fathometer.text import number_text

Place = tuple[float, float, float | None]  # x, y, and the value there
Curve = tuple[str, Sequence[tuple[float, float]]]
HEIGHT = 340
SCHEME = "cividis"  # even in lightness, and the same to colour-blind eyes


def heat_chart(
    places: Sequence[Place],
    *,
    title: str,
    subtitle: str,
    axes: tuple[str, str],
    value: str,
    curves: Sequence[Curve] = (),
    percent: bool = False,
    ends: tuple[float, float] | None = None,
) -> alt.LayerChart:
    """Draw a value over a grid of x and y as coloured cells, and labelled curves over them, at most two.

    `axes` are the titles of x and y. A cell reaches half-way to its neighbours; None leaves it empty. Curves end where the
    grid does. `ends` are the values of the first and the last colour, by default the least and the largest.
    """
    widths, heights = (_reach(values) for values in ([x for x, _, _ in places], [y for _, y, _ in places]))
    rows = [_row(*place, widths, heights, percent) for place in places if place[2] is not None]
    (left, right), (low, high) = (
        (min(a for a, _ in reach.values()), max(b for _, b in reach.values())) for reach in (widths, heights)
    )
    frame = [alt.Scale(domain=[first, last], nice=False, zero=False) for first, last in ((left, right), (low, high))]
    x = alt.X("x", type="quantitative", title=axes[0], scale=frame[0], axis=_ticks(widths))
    y = alt.Y("y", type="quantitative", title=axes[1], scale=frame[1], axis=_ticks(heights))
    look = alt.Legend(format="%" if percent else ".3~g", gradientLength=180, gradientThickness=8, title=value, titleFontSize=11)
    values = [row["value"] for row in rows]
    ends = ends or ((0, 1) if percent else (min(values, default=0), max(values, default=1)))
    colour = alt.Color("value", type="quantitative", scale=alt.Scale(scheme=SCHEME, domain=list(ends)), legend=look)
    edge = alt.Stroke("value", type="quantitative", scale=colour["scale"], legend=None)  # no seams between cells
    tips = [alt.Tooltip("words", type="nominal", title=name) for name in (value,)]
    tips = [alt.Tooltip("at_x", type="nominal", title=axes[0]), alt.Tooltip("at_y", type="nominal", title=axes[1]), *tips]
    cells = (
        alt.Chart(alt.Data(values=rows))
        .mark_rect(strokeWidth=0.8)
        .encode(x=x, x2="right", y=y, y2="top", color=colour, stroke=edge, tooltip=tips)
    )
    drawn = [layer for number, curve in enumerate(curves) for layer in _curve(curve, number, (left, right, low, high))]
    chart = finished(alt.layer(cells, *drawn), title, subtitle, _describe(title, axes, rows, curves))
    return chart.properties(height=HEIGHT)


def _ticks(reach: dict[float, tuple[float, float]]) -> alt.Axis:
    """Return an axis without halves where all values are whole."""
    return alt.Axis(tickMinStep=1) if all(value == int(value) for value in reach) else alt.Axis()


def _reach(values: Sequence[float]) -> dict[float, tuple[float, float]]:
    """Return from where to where each value's cell goes."""
    known = sorted(set(values))
    middles = [(a + b) / 2 for a, b in pairwise(known)]
    ends = [2 * known[0] - middles[0], *middles, 2 * known[-1] - middles[-1]] if middles else [known[0] - 0.5, known[0] + 0.5]
    return {value: (ends[place], ends[place + 1]) for place, value in enumerate(known)}


def _row(
    x: float,
    y: float,
    value: float | None,
    widths: dict[float, tuple[float, float]],
    heights: dict[float, tuple[float, float]],
    percent: bool,
) -> dict[str, Any]:
    assert value is not None
    (left, right), (low, high) = widths[x], heights[y]
    words = f"{value:.0%}" if percent else number_text(value)
    ends = {"x": left, "right": right, "y": low, "top": high}
    return {**ends, "value": value, "words": words, "at_x": number_text(x), "at_y": number_text(y)}


def _curve(curve: Curve, number: int, frame: tuple[float, float, float, float]) -> list[alt.Chart]:
    """Return a curve on a dark edge, so that it is seen on every colour, and its name at its highest place within the frame."""
    label, points = curve
    left, right, low, high = frame
    inside = [(x, y) for x, y in points if left <= x <= right and low <= y <= high]
    data = alt.Data(values=[{"x": x, "y": y, "part": _part(points, x)} for x, y in inside])
    base = alt.Chart(data).encode(x=alt.X("x", type="quantitative"), y=alt.Y("y", type="quantitative"), detail="part:N")
    colour = ("#FFFFFF", PALETTE[0])[number % 2]
    edge, line = base.mark_line(color="#14181D", strokeWidth=4.5, opacity=0.8), base.mark_line(color=colour, strokeWidth=2.2)
    if not inside:
        return []
    x, y = max(inside, key=lambda point: point[1])
    is_right = x > (left + right) / 2
    words = alt.Chart(alt.Data(values=[{"x": x, "y": y, "label": label}]))
    text = words.mark_text(
        align="right" if is_right else "left", dx=-8 if is_right else 8, dy=10, color=colour, fontSize=11, fontWeight=600
    )
    return [edge, line, text.encode(x=alt.X("x", type="quantitative"), y=alt.Y("y", type="quantitative"), text="label:N")]


def _part(points: Sequence[tuple[float, float]], x: float) -> str:
    """Return the side of the curve's peak: its two arms are two lines where the peak is cut off."""
    return "left" if x < max(points, key=lambda point: point[1])[0] else "right"


def _describe(title: str, axes: tuple[str, str], rows: Sequence[dict[str, Any]], curves: Sequence[Curve]) -> str:
    if not rows:
        return f"{title}: nothing was measured."
    best, worst = max(rows, key=lambda row: row["value"]), min(rows, key=lambda row: row["value"])
    ends = f"from {worst['words']} at {worst['at_x']} and {worst['at_y']} to {best['words']} at {best['at_x']} and {best['at_y']}"
    over = f"; over it: {', '.join(label for label, _ in curves)}" if curves else ""
    return f"{title} by {axes[0]} and {axes[1]}: {ends}{over}."
