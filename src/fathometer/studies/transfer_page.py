"""The figures and the table of transfer."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fathometer.figures import band_chart
from fathometer.report import Figure
from fathometer.scaling.best_rate import Sweep, Transferred

Found = Mapping[tuple[str, int, int], Transferred]
Tables = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]
MOST_LINES = 4
MOST_LOST = 0.4  # that a sweep's figure shows: beyond it a rate is of no use


def figures_of(options: Mapping[str, Any], found: Found, sweeps: Mapping[tuple[str, int, int], Sweep]) -> tuple[Figure, ...]:
    """Return drift and loss by depth, and the sweeps themselves under the standard parametrization and CompleteP."""
    ends = [arm for arm in ("standard", "completep") if arm in options["arms"]]
    return (_drift(options, found), _regret(options, found), *(_curves(options, sweeps, arm) for arm in ends))


def table_of(found: Found) -> Tables:
    """Return the header and a line for each parametrization and shape."""
    header = ("parametrization", "depth", "width", "best rate", "drift, octaves", "loss from taking the base's rate")
    lines = [
        (
            arm,
            str(depth),
            str(width),
            f"{2 ** one.best[0]:.2g} ({2 ** one.best[1]:.2g} to {2 ** one.best[2]:.2g})",
            f"{one.drift[0]:+.2f} ({one.drift[1]:+.2f} to {one.drift[2]:+.2f})",
            f"{one.regret[0]:.1%} ({one.regret[1]:.1%} to {one.regret[2]:.1%})",
        )
        for (arm, depth, width), one in found.items()
    ]
    return header, tuple(lines)


def _drift(options: Mapping[str, Any], found: Found) -> Figure:
    width = max(options["widths"])
    chart = band_chart(
        [(arm, _along(options, found, arm, width, "drift")) for arm in options["arms"][:MOST_LINES]],
        title="How far the best rate drifts",
        subtitle=f"octaves from the best rate of the base; width {width}",
        axis="depth (blocks)",
        log=(True, False),
        reference=(0.0, "the base's best rate"),
    )
    return Figure(
        chart, "Octaves are doublings: at -2 the best rate is a quarter of the base's.", "A level line is a rate that transfers."
    )


def _regret(options: Mapping[str, Any], found: Found) -> Figure:
    width = max(options["widths"])
    chart = band_chart(
        [(arm, _along(options, found, arm, width, "regret")) for arm in options["arms"][:MOST_LINES]],
        title="What taking the base's rate costs",
        subtitle=f"held-out loss over that at the shape's own best rate; width {width}",
        axis="depth (blocks)",
        log=(True, False),
        percent=True,
    )
    return Figure(chart, "What is lost by not looking again.", "At 0% nothing is lost.")


def _along(
    options: Mapping[str, Any], found: Found, arm: str, width: int, column: str
) -> list[tuple[float, tuple[float, float, float]]]:
    return [(float(depth), getattr(found[arm, depth, width], column)) for depth in options["depths"]]


def _curves(options: Mapping[str, Any], sweeps: Mapping[tuple[str, int, int], Sweep], arm: str) -> Figure:
    width, lines = max(options["widths"]), []
    for depth in options["depths"][:MOST_LINES]:
        names = (arm, "mup", "standard") if arm != "standard" else (arm,)
        sweep = sweeps[next((name, depth, width) for name in names if (name, depth, width) in sweeps)]
        lost = np.minimum(sweep.losses / sweep.losses.mean(0).min() - 1, MOST_LOST)
        lines.append(
            (f"{depth} blocks", [(round(2.0**rate, 5), lost[:, place].tolist()) for place, rate in enumerate(sweep.rates)])
        )
    chart = band_chart(
        lines,
        title=f"The sweeps, {arm}",
        subtitle=f"held-out loss over the least at that depth, up to {MOST_LOST:.0%}; width {width}",
        axis="learning rate",
        log=(True, False),
        percent=True,
    )
    see = "The lowest points lie above each other where the rate transfers."
    return Figure(chart, "Bands are the range over seeds.", see)
