"""Which depth trains at which gain, and what theory says of it."""

from collections.abc import Iterator, Sequence
from functools import cache
from math import sqrt
from typing import Any

import numpy as np

from fathometer.figures import heat_chart
from fathometer.records import Asked
from fathometer.report import Figure
from fathometer.spec import Mlp
from fathometer.studies.best import accuracy, at_best_rate, data_of, train_together
from fathometer.studies.question import Cell, Groups, Options, Question, Reading, Row
from fathometer.theory import depth_scales, edge_of_chaos

CHANCE, TRAINED = 0.1, 0.5  # of ten digits; half of them right is far from guessing
LINES = 10  # of the table of evidence, about
SCALES = 6.0  # correlation depth scales up to which networks train: Schoenholz et al. 2017's rule of thumb


def cells(options: Options) -> Groups:
    """Return one group for each depth and rate: the gains train as one stack."""
    fixed = {name: options[name] for name in ("activation", "bias_variance", "width", "steps", "batch_size", "seed")}
    return [
        [{"depth": depth, "weight_variance": variance, "rate": rate, **fixed} for variance in options["weight_variances"]]
        for depth in options["depths"]
        for rate in options["rates"]
    ]


def measure(group: Sequence[Cell]) -> Iterator[Row]:
    """Train the networks of a group with SGD on the handwritten digits."""
    return train_together(group, [_run(cell) for cell in group], data_of("digits"))


def _run(cell: Cell) -> tuple[Mlp, Asked]:
    start = {"init": "lecun", "gain": sqrt(cell["weight_variance"]), "bias_std": sqrt(cell["bias_variance"])}
    spec = Mlp(depth=cell["depth"], width=cell["width"], activation=cell["activation"], **start)
    asked = Asked(cell["steps"], cell["batch_size"], "sgd", cell["rate"], seed=cell["seed"])
    return spec, asked


def read(options: Options, rows: Sequence[Row]) -> Reading:
    """Compare where networks train with the depth to which theory lets a correlation live."""
    best = {(at["weight_variance"], at["depth"]): accuracy(own[0], CHANCE) for at, _, own in at_best_rate(rows, _PLACE)}
    limits = {variance: SCALES * scale(options, variance) for variance in options["weight_variances"]}
    deepest = {variance: _deepest(best, variance) for variance in limits}
    beyond = [value > TRAINED for (variance, depth), value in best.items() if depth > limits[variance]]
    within = [value > TRAINED for (variance, depth), value in best.items() if depth <= limits[variance] / 3]
    agreement = _rank_correlation(list(limits.values()), list(deepest.values()))
    share, inner = (sum(side) / max(1, len(side)) for side in (beyond, within))
    holds = share <= 0.05 and inner >= 0.8 and agreement >= 0.7
    top = max(deepest, key=lambda variance: deepest[variance])
    sentence = (
        f"{share:.0%} of the {len(beyond)} networks deeper than six correlation depth scales read over half of the digits, and "
        f"{inner:.0%} of the {len(within)} within two of them; the deepest that trains at each gain follows theory "
        f"(rank correlation {agreement:.2f})."
    )
    facts = (("networks", f"{len(best):,}"), ("deepest that trains", f"{deepest[top]:.0f} at σ_w² = {top:.2f}"))
    critical = _critical(options)
    facts += (("theory's critical σ_w²", f"{critical:.2f}"),)
    table = tuple(
        (f"{variance:.2f}", f"{limits[variance] / SCALES:.3g}", f"{limits[variance]:.0f}", f"{deepest[variance]:.0f}")
        for variance in options["weight_variances"][:: max(1, len(limits) // LINES)]
    )
    header = ("σ_w²", "ξ_c, blocks", "6 ξ_c", f"deepest that reads over {TRAINED:.0%}")
    answer = "shown" if holds else "shown in part" if agreement >= 0.5 else "not shown"
    return Reading(answer, sentence, facts, header, table, (_figure(options, best),))


_PLACE = ("weight_variance", "depth")


def _figure(options: Options, best: dict[tuple[float, int], float]) -> Figure:
    first, last = min(options["weight_variances"]), max(options["weight_variances"])
    curve = [(float(variance), SCALES * scale(options, float(variance))) for variance in np.linspace(first, last, 120)]
    chart = heat_chart(
        [(variance, float(depth), value) for (variance, depth), value in best.items()],
        title="What trains",
        subtitle=f"test digits read after {options['steps']} steps of SGD, at the best of {len(options['rates'])} rates",
        axes=("weight variance σ_w²", "depth (blocks)"),
        value="accuracy",
        curves=[("theory: 6 ξ_c", curve)],
        percent=True,
    )
    see = "Under the curve networks train; above it two inputs have become one, or have nothing to do with each other any more."
    return Figure(
        chart, "Depth against the spread of the weights; the curve is theory's, and nothing in it was fitted.", see, wide=True
    )


def scale(options: Options, variance: float) -> float:
    """Return over how many blocks a correlation fades by a factor e, at most 10,000."""
    return _scale(options["activation"], variance, options["bias_variance"])


@cache
def _scale(activation: str, variance: float, bias_variance: float) -> float:
    return min(depth_scales(activation, variance, bias_variance).correlation, 1e4)


def _critical(options: Options) -> float:
    lengths = np.geomspace(1e-3, 1e3, 2000)
    variances, biases = edge_of_chaos(options["activation"], lengths)
    return float(np.interp(options["bias_variance"], np.asarray(biases), np.asarray(variances)))


def _deepest(best: dict[tuple[float, int], float], variance: float) -> float:
    return max((float(depth) for (own, depth), value in best.items() if own == variance and value > TRAINED), default=0.0)


def _rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    from scipy.stats import spearmanr

    if len(set(one)) < 2 or len(set(other)) < 2:
        return 0.0
    return float(np.asarray(spearmanr(one, other).statistic))


def cost(cell: Cell) -> float:
    """Return the layers that a cell trains through."""
    return (cell["depth"] + 2.0) * cell["steps"]


def _even(first: float, last: float, count: int) -> tuple[Any, ...]:
    return tuple(round(float(value), 4) for value in np.linspace(first, last, count))


TRAINABILITY = Question(
    title="Trainability by depth and gain",
    claim="A network trains as deep as its signal reaches, and theory says beforehand how deep that is.",
    options={
        "depths": tuple(round(depth) for depth in _even(3.0, 100.0, 30)),
        "weight_variances": _even(0.75, 4.0, 30),
        "rates": (0.01, 0.03),
        "activation": "tanh",
        "bias_variance": 0.05,
        "width": 64,
        "steps": 150,
        "batch_size": 32,
        "seed": 0,
    },
    quick={"depths": (5, 15, 30, 60), "weight_variances": _even(0.75, 4.0, 6), "rates": (0.02,), "steps": 60, "width": 32},
    cells=cells,
    measure=measure,
    read=read,
    cost=cost,
    caveats=(
        "Six depth scales are a rule of thumb and an upper bound: with more steps, or a better rate, the edge moves towards it.",
        "Theory is for infinite width. At width 64 and depth 100 single networks differ from it, and from each other.",
        "One seed for each network: it is the grid that shows the edge, not one cell.",
        "The best rate of each network was taken by its training loss, out of those that were tried.",
    ),
    citations=("schoenholz2017", "poole2016"),
)
