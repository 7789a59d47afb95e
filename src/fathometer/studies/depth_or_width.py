"""Deep and narrow or shallow and wide, at equal cost: what buys what?"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import exp, log
from statistics import median
from typing import Any

import numpy as np

from fathometer.data import Dataset
from fathometer.records import Asked
from fathometer.runs import train
from fathometer.scaling import training_flops
from fathometer.spec import Mlp
from fathometer.studies.best import at_best_rate, data_of, told
from fathometer.studies.construction import equal_width
from fathometer.studies.depth_or_width_page import data_figure, shape_figures, table_of
from fathometer.studies.question import Cell, Groups, Options, Question, Reading, Row
from fathometer.studies.shape_training import train_shapes
from fathometer.studies.teacher import flat_classes
from fathometer.studies.tree import ENOUGH, RULES, seeded_tree, width_for

CHANCE = 1 / RULES["classes"]
PATCHES = {1: (8,), 2: (4, 2), 3: (2, 2, 2)}  # by layers: which neighbours each joins
BUDGETS = ("parameters", "flops")
HALF = 0.5  # of the error of guessing
MANY_TIMES, CLEARLY = 4.0, 0.02  # data that shallow needs over deep; accuracy that depth must add to have bought something


def cells(options: Options) -> Groups:
    """Return a group for each local network and number of data, and one for each depth of dense networks and task."""
    groups = list[list[Cell]]()
    sweep = [{"rate": rate, "seed": seed} for rate in options["rates"] for seed in options["seeds"]]
    fixed = {name: options[name] for name in ("steps", "batch_size")}
    for budget, amount in (("parameters", options["parameters"]), ("flops", 2 * options["parameters"])):
        ends = (min(options["layers"]), max(options["layers"]))
        for layers in options["layers"] if budget == "parameters" else dict.fromkeys(ends):
            for ratio in options["data"]:
                own = {"kind": "data", "budget": budget, "amount": amount, "depth": layers, "data": ratio, **fixed}
                groups.append([{**own, **place} for place in sweep])
    shared = {"parameters": options["parameters"], "samples": options["samples"], **fixed, "steps": options["shape_steps"]}
    rates = [{"rate": rate, "seed": seed} for rate in options["shape_rates"] for seed in options["seeds"]]
    for task in options["tasks"]:
        for depth in options["depths"]:
            groups.append([{"kind": "shape", "task": task, "depth": depth, **shared, **place} for place in rates])
    return groups


def measure(group: Sequence[Cell]) -> Iterator[Row]:
    """Train the networks of a group: local ones one by one, dense ones as a stack."""
    if group[0]["kind"] == "data":
        yield from (_train_tree(cell) for cell in group)
    else:
        yield from train_shapes(group, spec_of(group[0]), _data(group[0]))


def _data(cell: Cell) -> Dataset:
    if cell["task"] == "flat":
        return flat_classes(samples=cell["samples"])
    return data_of("hierarchy", **RULES, samples=cell["samples"])


def spec_of(cell: Cell) -> Mlp:
    """Return the dense residual network of a depth that has as many parameters as all others."""
    shape = {"depth": cell["depth"], "inputs": 48, "outputs": RULES["classes"], "residual": "pre-norm"}
    return Mlp(width=equal_width(cell["parameters"], shape), **shape)


def _train_tree(cell: Cell) -> Row:
    data = data_of("hierarchy", **RULES, samples=round(cell["data"] * ENOUGH))
    patches, symbols = PATCHES[cell["depth"]], RULES["symbols"]
    width = width_for(cell["budget"], cell["amount"], patches, symbols, RULES["classes"])
    tree = seeded_tree(patches, width, symbols, RULES["classes"], cell["seed"])
    asked = Asked(cell["steps"], cell["batch_size"], "adam", cell["rate"], seed=cell["seed"])
    return {**told(train(tree, asked, data=data, progress=lambda *facts: None).record), "width": width}


def read(options: Options, rows: Sequence[Row]) -> Reading:
    """Say how many times the data shallow needs, and what depth buys where there is no hierarchy."""
    best = at_best_rate([row for row in rows if row["kind"] == "data"], ("budget", "depth", "data"), "held_out_loss")
    needs = {budget: {layers: data_needed(best, budget, layers) for layers in options["layers"]} for budget in BUDGETS}
    shapes = at_best_rate([row for row in rows if row["kind"] == "shape"], ("task", "depth"))
    gains = {task: _gain(shapes, task) for task in options["tasks"]}
    shallow, deep = min(options["layers"]), max(options["layers"])
    factors = {budget: _factor(own, shallow, deep, max(options["data"])) for budget, own in needs.items()}
    is_many = all(factor >= MANY_TIMES for factor, _ in factors.values())
    is_nothing = gains.get("flat", (0.0, 1))[0] < CLEARLY
    said = " and ".join(f"{words} the data at equal {budget}" for budget, (_, words) in factors.items())
    sentence = f"To err half as often as guessing, one layer needs {said} of what {deep} layers need."
    if "flat" in gains:
        gain, at = gains["flat"]
        bought = "nothing" if is_nothing else f"{gain:.1%}"
        sentence += (
            f" On the task without hierarchy depth buys {bought} (the best is {at} {'layer' if at == 1 else 'layers'} deep)."
        )
    answer = "shown" if is_many and is_nothing else "shown in part" if is_many or is_nothing else "not shown"
    facts = tuple(
        (f"data for half the error by layers: {layers}", _times(needs["parameters"][layers])) for layers in options["layers"]
    )
    figures = (data_figure(best, CHANCE), *shape_figures(shapes))
    header, table = table_of(best, shapes, CHANCE)
    notes = (_flops_words(options), _dense_words(gains), *_time_words(shapes))
    return Reading(answer, sentence, facts, header, table, figures, tuple(words for words in notes if words))


def data_needed(best: Sequence[tuple[Mapping[str, Any], float, list[Row]]], budget: str, layers: int) -> float | None:
    """Return at how many times P* the error is half that of guessing, between the grid's places; None where it never is."""
    points = sorted(
        (at["data"], median(error(row) for row in own)) for at, _, own in best if at["budget"] == budget and at["depth"] == layers
    )
    for (x, high), (further, low) in pairwise(points):
        if high > HALF >= low:
            return exp(log(x) + (high - HALF) / (high - low) * (log(further) - log(x)))
    return None


def error(row: Row) -> float:
    """Return the held-out error over that of guessing; a run that stopped counts as guessing."""
    return 1.0 if row["held_out_accuracy"] is None else (1 - row["held_out_accuracy"]) / (1 - CHANCE)


def _factor(needs: Mapping[int, float | None], shallow: int, deep: int, most: float) -> tuple[float, str]:
    one, other = needs[shallow], needs[deep]
    if other is None:
        return 0.0, "an unknown multiple of"
    return (most / other, f"over {most / other:.1f} times") if one is None else (one / other, f"{one / other:.1f} times")


def _times(need: float | None) -> str:
    return "not reached" if need is None else f"{need:.2g} P*"


def _gain(shapes: Sequence[tuple[Mapping[str, Any], float, list[Row]]], task: str) -> tuple[float, int]:
    """Return how much more the best depth reads than the shallowest network does, and that depth."""
    found = {
        at["depth"]: median(row["held_out_accuracy"] or CHANCE for row in own) for at, _, own in shapes if at["task"] == task
    }
    best = max(found, key=lambda depth: found[depth])
    return found[best] - found[min(found)], best


def _flops_words(options: Options) -> str:
    if not options["depths"] or not options["tasks"]:
        return ""
    flops = [training_flops(spec_of({"depth": depth, "parameters": options["parameters"]})) for depth in options["depths"]]
    spread = max(flops) / min(flops) - 1
    return (
        f"In a dense network each weight is used once for each sample: at equal parameters the FLOPs of a step differ by at most "
        f"{spread:.0%}, so that equal parameters and equal FLOPs are one comparison. In the local networks they are two."
    )


def _dense_words(gains: Mapping[str, tuple[float, int]]) -> str:
    if "hierarchy" not in gains:
        return ""
    gain, at = gains["hierarchy"]
    return f"Dense residual networks on the hierarchy: the best depth is {at}, {gain:+.1%} over one block, and not the deepest."


def _time_words(shapes: Sequence[tuple[Mapping[str, Any], float, list[Row]]]) -> list[str]:
    told_of = []
    for task in dict.fromkeys(at["task"] for at, _, _ in shapes):
        own = [(at["depth"], rows) for at, _, rows in shapes if at["task"] == task]
        budget = min(median(row["step_seconds"] for row in rows) * rows[0]["steps"] for _, rows in own)
        losses = {depth: median(at_time(row, budget) for row in rows) for depth, rows in own}
        best = min(losses, key=lambda depth: losses[depth])
        told_of.append(f"At equal processor time ({task}): the lowest training loss is that of depth {best}, {losses[best]:.3g}.")
    return told_of


def at_time(row: Row, seconds: float) -> float:
    """Return the training loss that a network had when so much processor time was spent on it."""
    steps = seconds / row["step_seconds"]
    places, losses = zip(*row["curve"], strict=True)
    return float(np.interp(steps, places, losses))


def cost(cell: Cell) -> float:
    """Return about how long a cell takes."""
    return 1.2 if cell["kind"] == "data" else 0.25 + 0.06 * cell["depth"]


DEPTH_OR_WIDTH = Question(
    title="Depth or width, at equal cost",
    claim="Where the task is a hierarchy, a shallow network needs many times the data; where it is not, depth buys nothing.",
    options={
        "layers": (1, 2, 3),
        "data": (1.0, 2.0, 4.0, 8.0, 16.0),
        "depths": (1, 3, 10, 30, 100),
        "tasks": ("hierarchy", "flat"),
        "parameters": 30_000,
        "rates": (1e-3, 3e-3),
        "shape_rates": (3e-3, 1e-2),
        "seeds": (0, 1, 2),
        "steps": 600,
        "shape_steps": 400,
        "samples": 40_000,
        "batch_size": 128,
    },
    quick={
        "data": (1.0, 4.0),
        "layers": (1, 3),
        "depths": (1, 3),
        "seeds": (0,),
        "rates": (3e-3,),
        "steps": 400,
        "shape_steps": 200,
    },
    cells=cells,
    measure=measure,
    read=read,
    cost=cost,
    caveats=(
        "The deep local network has the hierarchy's own neighbourhoods, and its layers share weights. Dense networks have "
        "neither, and are measured here with a hundred times P*: with few data depth does not help them (see the journal).",
        "Dense networks grow narrow with depth: at 100 blocks a dozen units are left.",
        "The number of steps is the same for all. Equal time is read off the learning curves, at this machine's speed.",
        "The rate of local networks is chosen by the held-out loss, as all learn their few data by heart.",
    ),
    citations=("cagnetta2024", "telgarsky2015"),
)
