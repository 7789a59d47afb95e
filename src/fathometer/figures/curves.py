"""Training curves: the median over seeds in the band of their range."""

from collections.abc import Sequence
from math import isfinite
from statistics import median
from typing import Any

import altair as alt

from fathometer.figures.axes import decades, linear_y, log_y, same_axis
from fathometer.figures.reference import reference_layers
from fathometer.figures.theme import colours, finished, legend
from fathometer.text import number_text

Losses = Sequence[float]
SMOOTHING = 0.9  # weight of the past in the running mean, before its correction for the start
MOST_POINTS = 240  # more than a chart of this width can show


def loss_chart(
    runs: Sequence[tuple[str, Sequence[Losses]]],
    *,
    reference: float | None = None,
    label: str = "knows no input",
    log: bool = False,
) -> alt.LayerChart:
    """Draw the smoothed training loss of labelled runs, each a sequence of losses for each seed, at most four labels.

    The line is the median over the seeds, the band their range; a seed counts as long as its loss is finite.
    `reference` is the loss of the best predictor that sees no input, drawn dotted with its `label`.
    """
    rows = [row for name, seeds in runs for row in _rows(name, seeds)]
    ends = [float(row[key]) for row in rows for key in ("low", "high")] + ([] if reference is None else [reference])
    y = log_y("value", decades(ends)) if log else linear_y("value", ends)
    labels = [name for name, _ in runs]
    colour = alt.Color("run", type="nominal", scale=colours(labels), legend=legend(labels))
    x = alt.X(
        "step",
        type="quantitative",
        title="step",
        axis=alt.Axis(tickCount=6, format=",d"),
        scale=alt.Scale(nice=False, zero=False),
    )
    drawn = alt.Chart(alt.Data(values=rows)).encode(x=x, color=colour)
    band = drawn.mark_area(style="seed-band", aria=False).encode(y=same_axis(y, "low"), y2="high")
    line = drawn.mark_line(style="curve").encode(y=y, tooltip=_tooltip())
    behind = [] if reference is None else reference_layers(reference, f"{label}: {number_text(reference)}")
    seeds = max((len(seeds) for _, seeds in runs), default=0)
    subtitle = "smoothed" + (f"; median and range of {seeds} seeds" if seeds > 1 else "")
    return finished(alt.layer(*behind, band, line), "Training loss", subtitle, _describe(runs, reference))


def smooth(losses: Losses, past: float = SMOOTHING) -> list[float]:
    """Return the running mean of the losses up to the first that is not finite.

    >>> smooth([2.0, 2.0, float("nan"), 2.0])
    [2.0, 2.0]
    """
    smoothed, total, weight = [], 0.0, 0.0
    for loss in losses:
        if not isfinite(loss):
            break
        total, weight = past * total + (1 - past) * loss, past * weight + (1 - past)
        smoothed.append(total / weight)
    return smoothed


def _rows(name: str, seeds: Sequence[Losses]) -> list[dict[str, Any]]:
    smoothed = [smooth(losses) for losses in seeds]
    length = max(map(len, smoothed), default=0)
    stride = max(1, -(-length // MOST_POINTS))
    steps = sorted({*range(0, length, stride), length - 1} - {-1})
    rows: list[dict[str, Any]] = []
    for step in steps:
        here = [losses[step] for losses in smoothed if step < len(losses)]
        rows.append({"step": step + 1, "run": name, "value": median(here), "low": min(here), "high": max(here)})
    return rows


def _tooltip() -> list[alt.Tooltip]:
    value = alt.Tooltip("value", type="quantitative", title="loss", format=".3g")
    return [alt.Tooltip("run", type="nominal"), alt.Tooltip("step", type="quantitative"), value]


def _describe(runs: Sequence[tuple[str, Sequence[Losses]]], reference: float | None) -> str:
    ends = []
    for name, seeds in runs:
        values = [row["value"] for row in _rows(name, seeds)]
        if values:
            ends.append(f"{name} goes from {number_text(values[0])} to {number_text(values[-1])}")
    against = "" if reference is None else f" (the best that knows no input has {number_text(reference)})"
    return f"Training loss by step{against}: {'; '.join(ends) or 'no steps'}."
