"""The figures and the table of the scaling law and its trial."""

from collections.abc import Mapping, Sequence

import numpy as np

from fathometer.figures import band_chart
from fathometer.report import Figure
from fathometer.scaling import Law
from fathometer.scaling.estimate import LEVEL

Point = Mapping[str, float]
Tables = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]
MOST_LINES = 4


def figures_of(law: Law, ladder: Sequence[Point], above: Sequence[Point]) -> tuple[Figure, ...]:
    """Return the trial, with the law's interval over sizes, and the ladder that it was fitted to."""
    return (_trial(law, ladder, above), _ladder(ladder))


def table_of(law: Law, points: Sequence[Point]) -> Tables:
    """Return the header and a line for each network: what the law has for it, and what it reached."""
    header = ("depth", "width", "parameters", "bytes", "the law", "loss, nats a byte")
    lines = [
        (
            f"{point['depth']:.0f}",
            f"{point['width']:.0f}",
            f"{point['parameters']:,.0f}",
            f"{point['tokens']:,.0f}",
            str(law.predict(observed=True, parameters=point["parameters"], tokens=point["tokens"])),
            f"{point['loss']:.3f}",
        )
        for point in points
    ]
    return header, tuple(lines)


def _trial(law: Law, ladder: Sequence[Point], above: Sequence[Point]) -> Figure:
    tokens = above[0]["tokens"]
    smallest, largest = min(point["parameters"] for point in ladder), above[0]["parameters"]
    sizes = [round(float(size)) for size in np.geomspace(smallest, largest, 6)]
    foretold = [law.predict(observed=True, parameters=size, tokens=tokens) for size in sizes]
    band = [(float(size), (one.low, one.value, one.high)) for size, one in zip(sizes, foretold, strict=True)]
    trained = [(largest, tuple(point["loss"] for point in above))]
    chart = band_chart(
        [("foretold", band), ("trained", trained)],
        title="Foretold and trained",
        subtitle=f"held-out loss after {tokens:,.0f} bytes; the band is the {LEVEL:.0%} interval of one run",
        axis="parameters",
        log=(True, False),
    )
    return Figure(chart, "The law is fitted to smaller networks and fewer bytes only.", "The dot should lie in the band.")


def _ladder(ladder: Sequence[Point]) -> Figure:
    counts = sorted({point["tokens"] for point in ladder})[-MOST_LINES:]
    lines = [
        (f"{tokens:,.0f} bytes", [(point["parameters"], (point["loss"],)) for point in ladder if point["tokens"] == tokens])
        for tokens in counts
    ]
    chart = band_chart(
        lines,
        title="The ladder",
        subtitle="held-out loss of the networks that the law is fitted to",
        axis="parameters",
        log=(True, False),
    )
    return Figure(
        chart, "Each line is one amount of data.", "Where lines are level, more parameters buy nothing at that amount of data."
    )
