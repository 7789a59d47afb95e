"""One look for every chart: palette, inks, legend, styles."""

from collections.abc import Sequence
from typing import Any, Literal

import altair as alt

from fathometer.errors import FathometerError

Ink = Literal["light", "dark", "page"]

# Orange, blue, green, violet: at least 3:1 against both papers, and apart for colour-blind eyes (tests measure both).
PALETTE = ("#D9622B", "#2B7FC0", "#0F9970", "#8044DE")
FORECAST = "#848D98"
FONT = '-apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, system-ui, sans-serif'
POWERS_FONT = f'"DejaVu Sans", {FONT}'  # where the first choice lacks superscript digits
_LETTER = 5.4  # pixels of an average letter of a label
WIDTH, HEIGHT = 440, 220

# "page" leaves the colours to the CSS of the page that holds the chart: they follow its theme, and print in ink.
INKS: dict[Ink, dict[str, str]] = {
    "light": {"text": "#1B2026", "muted": "#59636F", "grid": "#E8EBEE", "axis": "#C3C9D0", "paper": "#FFFFFF"},
    "dark": {"text": "#E9EDF1", "muted": "#9DA8B4", "grid": "#262C34", "axis": "#47505B", "paper": "#14181D"},
    "page": {name: f"var(--{name})" for name in ("text", "muted", "grid", "axis", "paper")},
}


def config(ink: Ink = "light") -> dict[str, Any]:
    """Return the Vega-Lite configuration for one ink."""
    colour = INKS[ink]
    return {
        "font": FONT,
        "background": "transparent" if ink == "page" else colour["paper"],
        "padding": 2 if ink == "page" else 14,
        "view": {"stroke": None, "continuousWidth": WIDTH, "continuousHeight": HEIGHT},
        "axis": _axis(colour),
        "axisX": {"grid": False, "ticks": True, "tickSize": 4, "tickColor": colour["axis"]},
        "axisY": {"domain": False, "ticks": False, "labelPadding": 6, "minExtent": 36},
        "legend": _legend(colour),
        "title": {
            "anchor": "start",
            "frame": "group",
            "color": colour["text"],
            "fontSize": 13,
            "fontWeight": 600,
            "subtitleColor": colour["muted"],
            "subtitleFontSize": 11,
            "subtitlePadding": 4,
            "offset": 10,
        },
        "style": _styles(colour),
    }


def finished(chart: alt.LayerChart | alt.FacetChart, title: str, subtitle: str, description: str) -> alt.LayerChart:
    """Return the layers as a chart with its title, the house's size and look, and a sentence for those who cannot see it."""
    assert isinstance(chart, alt.LayerChart), "altair's layers are typed as a union, and are layers here"
    chart = chart.properties(title=alt.Title(title, subtitle=subtitle), width=WIDTH, height=HEIGHT, description=description)
    chart.config = alt.Config.from_dict(config())
    return chart


def colours(labels: Sequence[str], forecast: str | None = None) -> alt.Scale:
    """Return the colour scale for labelled lines, with grey for the forecast; raise for labels that cannot be told apart."""
    if len(labels) > len(PALETTE) or len(set(labels)) < len(labels):
        raise FathometerError(
            f"The chart has {len(labels)} lines named {', '.join(labels)}",
            f"It shows up to {len(PALETTE)} lines with different names",
            "Give each its own name, or draw two charts",
        )
    extra = [] if forecast is None else [forecast]
    return alt.Scale(domain=[*labels, *extra], range=[*PALETTE[: len(labels)], *[FORECAST for _ in extra]])


def legend(labels: Sequence[str], forecast: str | None = None) -> alt.Legend | None:
    """Return the legend above a chart, in as many columns as fit; None where there is one line: the title says what it is."""
    entries = [len(label) * _LETTER + 28 for label in (*labels, *([] if forecast is None else [forecast]))]
    if len(entries) < 2:
        return None
    columns = alt.expr(f"width >= {sum(entries):.0f} ? {len(entries)} : max(1, floor(width / {max(entries):.0f}))")
    look = {"symbolType": "circle", "symbolSize": 50, "symbolOpacity": 1, "symbolStrokeWidth": 0}
    return alt.Legend(columns=columns, **look)


def _axis(colour: dict[str, str]) -> dict[str, Any]:
    return {
        "labelColor": colour["muted"],
        "titleColor": colour["muted"],
        "domainColor": colour["axis"],
        "gridColor": colour["grid"],
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": 400,
        "titlePadding": 8,
        "labelFlush": False,
    }


def _legend(colour: dict[str, str]) -> dict[str, Any]:
    return {
        "orient": "top",
        "direction": "horizontal",
        "title": None,
        "titleColor": colour["muted"],
        "labelColor": colour["text"],
        "labelFontSize": 11,
        "labelLimit": 260,
        "columnPadding": 14,
        "offset": 8,
    }


def _styles(colour: dict[str, str]) -> dict[str, Any]:
    return {
        "forecast-band": {"opacity": 0.22},
        "forecast-line": {"strokeWidth": 1.5},
        "seed-band": {"opacity": 0.22},
        "line": {"strokeWidth": 1.2},
        "curve": {"strokeWidth": 1.8},
        "dot": {"filled": True, "opacity": 1, "stroke": colour["paper"], "strokeWidth": 0.8},
        "off-scale": {"filled": True, "opacity": 1, "stroke": colour["paper"], "strokeWidth": 0.8},
        "hover-rule": {"color": colour["muted"], "strokeWidth": 1},
        "reference-line": {"color": colour["muted"], "strokeWidth": 1.2, "strokeDash": [2, 3]},
        "reference-label": {"color": colour["muted"], "fontSize": 11, "align": "right", "dx": -2},
        "empty-label": {"color": colour["muted"], "fontSize": 12},
    }
