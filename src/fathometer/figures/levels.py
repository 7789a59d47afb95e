"""At which depth each level is learned: a dot with its interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from fathometer.figures.axes import depth_ticks
from fathometer.figures.theme import FORECAST, PALETTE, finished, legend

_ROW = 34  # pixels of one level
Place = tuple[float | None, float | None, float | None]  # the expected layer and the ends of its interval


@dataclass(frozen=True)
class LevelRow:
    """One level: where it is learned in each network, how well it is read at best, with shuffled labels, and by guessing."""

    name: str
    places: Mapping[str, Place]
    best: Mapping[str, float]
    shuffled: float
    guessing: float


def level_chart(rows: Sequence[LevelRow], depth: int, *, title: str, subtitle: str, words: bool = True) -> alt.LayerChart:
    """Draw the expected layer of each level, in the order given from the top, for up to three networks with 95% intervals.

    `depth` is the number of blocks; 0 is the input. Beside each level stand the accuracies of the best layer in each network, and
    with shuffled labels (not without `words`).
    """
    networks = list(dict.fromkeys(name for row in rows for name in row.places))
    palette = [PALETTE[0], FORECAST, PALETTE[1]][: len(networks)]
    drawn = [_dot(row, name) for row in rows for name in networks if row.places.get(name, (None,))[0] is not None]
    order = [row.name for row in rows]
    y = alt.Y(
        "level",
        type="nominal",
        sort=order,
        title=None,
        axis=alt.Axis(ticks=False, domain=False, labelFontSize=12, labelPadding=8, minExtent=96),
    )
    shift = alt.YOffset("network", type="nominal", sort=networks, scale=alt.Scale(paddingOuter=0.4))
    scale = alt.Scale(domain=[-0.5, (1.3 if words else 1) * depth + 0.5], nice=False, zero=False)
    x = alt.X(
        "layer",
        type="quantitative",
        title="expected layer (0 is the input)",
        scale=scale,
        axis=alt.Axis(values=depth_ticks(0, depth), format="d", grid=True),
    )
    colour = alt.Color("network", type="nominal", scale=alt.Scale(domain=networks, range=palette), legend=legend(networks))
    chart = alt.Chart(alt.Data(values=drawn)).encode(y=y, yOffset=shift, color=colour)
    bars = chart.mark_rule(strokeWidth=2.4, opacity=0.55, clip=True).encode(x=alt.X("low", type="quantitative"), x2="high")
    tips = [
        alt.Tooltip(name, type="nominal", title=text)
        for name, text in (("level", "level"), ("network", "network"), ("words", "layer"), ("told", "read"))
    ]
    dots = chart.mark_point(filled=True, size=90, opacity=1).encode(x=x, tooltip=tips)
    layers = [bars, dots, *([_words(rows, order)] if words else [])]
    finished_chart = finished(alt.layer(*layers), title, subtitle, _describe(title, rows))
    finished_chart.title["frame"] = "bounds"  # the names of levels leave little room beside them on a phone
    return finished_chart.properties(height=_ROW * max(len(rows), 1))


def _dot(row: LevelRow, network: str) -> dict[str, Any]:
    layer, low, high = row.places[network]
    assert layer is not None
    words = f"{layer:.1f} ({low:.1f} to {high:.1f})"
    return {"level": row.name, "network": network, "layer": layer, "low": low, "high": high, "words": words, "told": _told(row)}


def _told(row: LevelRow) -> str:
    shares = ", ".join(f"{name} {share:.0%}" for name, share in row.best.items())
    return f"{shares}, shuffled {row.shuffled:.0%}, guessing {row.guessing:.0%}"


def _words(rows: Sequence[LevelRow], order: Sequence[str]) -> alt.Chart:
    """Return the accuracies at the right of each level."""
    data = [
        {"level": row.name, "text": " · ".join(f"{share:.0%}" for share in [*row.best.values(), row.shuffled])} for row in rows
    ]
    y = alt.Y("level", type="nominal", sort=list(order))
    mark = alt.Chart(alt.Data(values=data)).mark_text(style="reference-label", align="right", dx=-2)
    return mark.encode(y=y, x=alt.value("width"), text=alt.Text("text", type="nominal"))


def _describe(title: str, rows: Sequence[LevelRow]) -> str:
    told = []
    for row in rows:
        for network, (layer, low, high) in row.places.items():
            told.append(
                f"{row.name}, {network}: " + ("not learned" if layer is None else f"{layer:.1f} ({low:.1f} to {high:.1f})")
            )
    return f"{title}: {'; '.join(told)}."
