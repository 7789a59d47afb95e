"""Does the learning rate of a small network suit a deeper or wider one?"""

from collections.abc import Iterator, Sequence
from math import log, sqrt
from typing import Any

from fathometer.records import Asked
from fathometer.scaling.best_rate import Sweep, Transferred, sweep_of, transferred
from fathometer.spec import Mlp
from fathometer.studies.best import data_of, train_together
from fathometer.studies.question import Cell, Groups, Options, Question, Reading, Row
from fathometer.studies.transfer_page import figures_of, table_of
from fathometer.studies.tree import RULES

SAMPLES = 40_000
GUESSING = log(RULES["classes"])
ARMS = ("standard", "mup", "depth-mup", "completep")
TARGET = 0.5  # octaves
Key = tuple[str, int, int]  # arm, depth, width


def cells(options: Options) -> Groups:
    """Return a group for each shape and parametrization that differs there: rates and seeds, trained as a stack."""
    fixed = {name: options[name] for name in ("steps", "batch_size")}
    base = {name: options[name] for name in ("base_depth", "base_width")}
    shapes = [(depth, width) for width in options["widths"] for depth in options["depths"]]
    groups: dict[Key, list[Cell]] = {}
    for arm in options["arms"]:
        for depth, width in shapes:
            own = effective(arm, depth, width, options)
            at = {"arm": own, "depth": depth, "width": width, **fixed, **({} if own == "standard" else base)}
            sweep: list[Cell] = [{**at, "rate": rate, "seed": seed} for rate in rates(options) for seed in options["seeds"]]
            groups.setdefault((own, depth, width), sweep)
    return list(groups.values())


def rates(options: Options) -> list[float]:
    """Return the rates tried: from the first to the last power of two, each √2 times the one before."""
    first, last = options["octaves"]
    return [2.0 ** (first + step / 2) for step in range(round(2 * (last - first)) + 1)]


def effective(arm: str, depth: int, width: int, options: Options) -> str:
    """Return the parametrization that an arm is at a shape: at the base's depth, or its width too, several are one."""
    if arm == "standard":
        return arm
    if arm == "mup" or depth == options["base_depth"]:
        return "standard" if width == options["base_width"] else "mup"
    return arm


def measure(group: Sequence[Cell]) -> Iterator[Row]:
    """Train the networks of a group with Adam, at a constant rate, on inputs that none sees twice."""
    return train_together(group, [_run(cell) for cell in group], data_of("hierarchy", **RULES, samples=SAMPLES))


def _run(cell: Cell) -> tuple[Mlp, Asked]:
    base = {name: cell[name] for name in ("base_depth", "base_width") if name in cell}
    start: dict[str, Any] = {
        "init": "mup" if cell["arm"] == "standard" else cell["arm"],
        **base,
    }  # μP of its own base is standard
    shape: dict[str, Any] = {"depth": cell["depth"], "width": cell["width"], "residual": "pre-norm", "branch_layers": 2}
    spec = Mlp(inputs=48, outputs=RULES["classes"], **shape, **start)
    return spec, Asked(cell["steps"], cell["batch_size"], "adam", cell["rate"], seed=cell["seed"])


def read(options: Options, rows: Sequence[Row]) -> Reading:
    """Say how far the best rate drifts from the base's under each parametrization, and what taking the base's costs."""
    found = all_transferred(options, rows)
    worst = {arm: _worst(found, arm) for arm in options["arms"]}
    sentence = "From the best rate of the base, " + "; ".join(_words(arm, *worst[arm]) for arm in options["arms"]) + "."
    facts = (("shapes", f"{len(options['depths']) * len(options['widths'])}"), ("base", _base_words(options, found)))
    figures = figures_of(options, found, {key: _sweep(rows, key) for key in _keys(rows)})
    header, table = table_of(found)
    notes = tuple(_along(found, arm, options) for arm in options["arms"])
    edges = sorted({f"{arm} at depth {depth}, width {width}" for (arm, depth, width), one in found.items() if one.at_edge})
    notes += (f"At the edge of the grid, so that the best rate may lie beyond it: {', '.join(edges)}.",) if edges else ()
    return Reading(_answer(worst), sentence, facts, header, table, figures, notes)


def all_transferred(options: Options, rows: Sequence[Row]) -> dict[Key, Transferred]:
    """Return what comes of the base's best rate at each shape, under each parametrization."""
    base = _sweep(rows, ("standard", options["base_depth"], options["base_width"]))
    found = dict[Key, Transferred]()
    for arm in options["arms"]:
        for width in options["widths"]:
            for depth in options["depths"]:
                is_base = (depth, width) == (options["base_depth"], options["base_width"])
                own = base if is_base else _sweep(rows, (effective(arm, depth, width, options), depth, width))
                found[arm, depth, width] = transferred(base, own)
    return found


def _keys(rows: Sequence[Row]) -> list[Key]:
    return list(dict.fromkeys((row["arm"], row["depth"], row["width"]) for row in rows))


def _sweep(rows: Sequence[Row], key: Key) -> Sweep:
    own = [row for row in rows if (row["arm"], row["depth"], row["width"]) == key]
    return sweep_of(own, "held_out_loss", GUESSING)


def _worst(found: dict[Key, Transferred], arm: str) -> tuple[Transferred, Transferred]:
    """Return the farthest drift of an arm, and its dearest transfer."""
    own = [one for (name, depth, width), one in found.items() if name == arm]
    return max(own, key=lambda one: abs(one.drift[0])), max(own, key=lambda one: one.regret[0])


def _words(arm: str, drift: Transferred, regret: Transferred) -> str:
    middle, low, high = drift.drift
    lost, least, most = regret.regret
    drifts = f"{arm} drifts by up to {middle:+.1f} octaves ({low:+.1f} to {high:+.1f})"
    return f"{drifts} and loses up to {lost:.0%} ({least:.0%} to {most:.0%})"


def _along(found: dict[Key, Transferred], arm: str, options: Options) -> str:
    depth, width = max(options["depths"]), max(options["widths"])
    deep, wide = found[arm, depth, options["base_width"]], found[arm, options["base_depth"], width]
    words = [f"{one.drift[0]:+.2f} octaves ({one.drift[1]:+.2f} to {one.drift[2]:+.2f})" for one in (deep, wide)]
    ratios = f"{depth / options['base_depth']:g} times the depth", f"{width / options['base_width']:g} times the width"
    return f"{arm}: {ratios[0]} alone moves the best rate by {words[0]}, {ratios[1]} alone by {words[1]}."


def _base_words(options: Options, found: dict[Key, Transferred]) -> str:
    best = found[options["arms"][0], options["base_depth"], options["base_width"]].best
    return f"depth {options['base_depth']}, width {options['base_width']}, best rate {2 ** best[0]:.2g}"


def _answer(worst: dict[str, tuple[Transferred, Transferred]]) -> Any:
    """Shown: CompleteP stays within the target and the standard parametrization does not; in part: it drifts half as far."""
    drifts = {arm: abs(drift.drift[0]) for arm, (drift, _) in worst.items()}
    ours, standard = drifts.get("completep", float("inf")), drifts.get("standard", float("inf"))
    if ours <= TARGET < standard:
        return "shown"
    return "shown in part" if 2 * ours <= standard else "not shown"


def cost(cell: Cell) -> float:
    """Return about how long a cell takes."""
    return (cell["depth"] + 1.0) * cell["steps"] * sqrt(1 + (cell["width"] / 64) ** 3) * 1e-4


TRANSFER = Question(
    title="Transfer of the learning rate over depth and width",
    claim="Under CompleteP the best learning rate of a small network is within half an octave of that of a deeper or wider one.",
    options={
        "depths": (4, 8, 16, 32),
        "widths": (32, 64, 128),
        "arms": ARMS,
        "base_depth": 4,
        "base_width": 32,
        "octaves": (-10.0, -4.0),
        "seeds": (0, 1, 2),
        "steps": 200,
        "batch_size": 64,
    },
    quick={
        "depths": (4, 16),
        "widths": (32, 64),
        "arms": ("standard", "completep"),
        "octaves": (-8.0, -4.0),
        "seeds": (0,),
        "steps": 60,
    },
    cells=cells,
    measure=measure,
    read=read,
    cost=cost,
    caveats=(
        "Residual perceptrons of two matrices a branch, pre-norm, on the Random Hierarchy Model, by their held-out loss: not "
        "transformers on text.",
        "A few hundred steps at one batch size. The best rate also moves with the number of steps, which is fixed here.",
        "Intervals are over three seeds and the scatter about the parabola; three seeds understate what a fourth could do.",
        "The base is four blocks deep and 32 wide: what is carried from there is eight times the depth and four times the width.",
    ),
    citations=("dey2025", "yang2022", "yang2023"),
)
