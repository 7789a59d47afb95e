"""The figures and the table of the scaling law and its trial."""

from collections.abc import Mapping, Sequence

from fathometer.figures import band_chart
from fathometer.figures.bands import Line
from fathometer.report import Figure
from fathometer.scaling import Law
from fathometer.scaling.estimate import LEVEL

Point = Mapping[str, float]
Tables = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]
MOST_LINES = 4


def figures_of(law: Law, ladder: Sequence[Point], above: Sequence[Point]) -> tuple[Figure, ...]:
    """Return how far each network is from the law, with the interval of one run, and what the law says of more of either."""
    return (_trial(law, ladder, above), _ladder(ladder, above))


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
    sizes = sorted({point["parameters"] for point in (*ladder, *above)})
    most = {size: max(point["tokens"] for point in (*ladder, *above) if point["parameters"] == size) for size in sizes}
    foretold = {size: law.predict(observed=True, parameters=size, tokens=most[size]) for size in sizes}
    band = [(size, (one.low / one.value - 1, 0.0, one.high / one.value - 1)) for size, one in foretold.items()]
    own = [(size, _off(law, [point for point in ladder if point["parameters"] == size])) for size in sizes[:-1]]
    chart = band_chart(
        [(f"{LEVEL:.0%} of runs, says the law", band), ("the ladder", own), ("the trial", [(sizes[-1], _off(law, above))])],
        title="Foretold and trained",
        subtitle="held-out loss over the law's",
        axis="parameters",
        log=(True, False),
        percent=True,
    )
    see = "The last dot should lie in the band."
    return Figure(chart, "The law is fitted to the ladder alone, which is smaller and saw fewer bytes.", see)


def _off(law: Law, points: Sequence[Point]) -> tuple[float, ...]:
    """Return by which share the loss of each network is above the law's."""
    foretold = [law.predict(parameters=point["parameters"], tokens=point["tokens"]).value for point in points]
    return tuple(point["loss"] / one - 1 for point, one in zip(points, foretold, strict=True))


def _ladder(ladder: Sequence[Point], above: Sequence[Point]) -> Figure:
    """Return the loss by parameters at each amount of data, over that of the smallest network with the fewest data."""
    first = max(point["loss"] for point in ladder)
    counts = sorted({point["tokens"] for point in ladder})[-MOST_LINES + 1 :]
    lines: list[Line] = [
        (
            f"{tokens:,.0f} bytes",
            [(point["parameters"], (point["loss"] / first,)) for point in ladder if point["tokens"] == tokens],
        )
        for tokens in counts
    ]
    lines.append(
        (f"{above[0]['tokens']:,.0f} bytes", [(above[0]["parameters"], tuple(point["loss"] / first for point in above))])
    )
    chart = band_chart(
        lines,
        title="What size and data buy",
        subtitle=f"held-out loss, as a share of {first:.2f} nats a byte",
        axis="parameters",
        log=(True, False),
        percent=True,
    )
    return Figure(
        chart, "Each line is one amount of data.", "Where a line is level, more parameters buy nothing at that amount of data."
    )
