"""The figures and the table of depth or width."""

from collections.abc import Mapping, Sequence
from typing import Any

from fathometer.figures import band_chart
from fathometer.report import Figure
from fathometer.studies.best import span
from fathometer.studies.question import Row

Best = Sequence[tuple[Mapping[str, Any], float, list[Row]]]
Tables = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]


def data_figure(best: Best, chance: float) -> Figure:
    """Return the held-out error by the number of data, a line for each number of layers, at equal parameters."""
    own = [(at, rows) for at, _, rows in best if at["budget"] == "parameters"]
    lines = [
        (_layers(layers), [(at["data"], [_error(row, chance) for row in rows]) for at, rows in own if at["depth"] == layers])
        for layers in sorted({at["depth"] for at, _ in own})
    ]
    title, subtitle = "Data that a hierarchy takes", "held-out error over that of guessing; equal parameters"
    half = (0.5, "half the error of guessing")
    chart = band_chart(lines, title=title, subtitle=subtitle, axis="data, in units of P*", log=(True, False), reference=half)
    see = "The further to the left a line falls, the fewer examples it takes. The middle line joins four neighbours, then two."
    return Figure(chart, "Local networks on the Random Hierarchy Model.", see)


def shape_figures(shapes: Best) -> tuple[Figure, ...]:
    """Return the accuracy of dense networks by depth at equal parameters, a line for each task."""
    tasks = list(dict.fromkeys(at["task"] for at, _, _ in shapes))
    if not tasks:
        return ()
    lines = [
        (
            task,
            [
                (float(at["depth"]), [row["held_out_accuracy"] or 0.0 for row in own])
                for at, _, own in shapes
                if at["task"] == task
            ],
        )
        for task in tasks
    ]
    title, subtitle = "Depth at equal parameters", "dense residual networks, right on held-out samples"
    chart = band_chart(lines, title=title, subtitle=subtitle, axis="depth (blocks)", log=(True, False), percent=True)
    see = "On flat classes the line is level or falls: depth buys nothing. On the hierarchy a few blocks are best."
    return (Figure(chart, "Each network at its own best rate; width falls as depth grows.", see),)


def table_of(best: Best, shapes: Best, chance: float) -> Tables:
    """Return the header and the lines of evidence."""
    header = ("task", "equal", "layers", "width", "data", "rate", "held-out error over guessing")
    lines = [
        (
            "hierarchy, local",
            at["budget"],
            str(at["depth"]),
            str(own[0]["width"]),
            f"{at['data']:g} P*",
            f"{rate:g}",
            _span(own, chance),
        )
        for at, rate, own in best
    ]
    lines += [
        (
            f"{at['task']}, dense",
            "parameters",
            str(at["depth"]),
            str(own[0]["width"]),
            f"{own[0]['samples']:,}",
            f"{rate:g}",
            _span(own, chance),
        )
        for at, rate, own in shapes
    ]
    return header, tuple(lines)


def _span(rows: Sequence[Row], chance: float) -> str:
    return span([_error(row, chance) for row in rows])


def _error(row: Row, chance: float) -> float:
    return 1.0 if row["held_out_accuracy"] is None else (1 - row["held_out_accuracy"]) / (1 - chance)


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"
