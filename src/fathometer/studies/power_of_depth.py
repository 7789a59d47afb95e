"""What depth can express, counted; and what it then learns, trained."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from math import log2
from typing import Any

from fathometer.data import Dataset
from fathometer.figures import band_chart
from fathometer.records import Asked
from fathometer.report import Figure
from fathometer.runs import train
from fathometer.spec import Mlp
from fathometer.studies.best import accuracy, at_best_rate, data_of, span, told, train_together
from fathometer.studies.construction import construct, count_at_start, equal_width
from fathometer.studies.question import Cell, Groups, Options, Question, Reading, Row
from fathometer.studies.tree import ENOUGH, RULES, seeded_tree, width_for
from fathometer.text import number_text

# The data of each task, and how deep its shallow and its deep network are.
TASKS: Mapping[str, Mapping[str, Any]] = {
    "sawtooth": {"folds": 4},
    "parity": {"bits": 10},
    "hierarchy": {**RULES, "samples": 4 * ENOUGH},
}
DEPTHS: Mapping[str, tuple[int, int]] = {"sawtooth": (1, 6), "parity": (1, 3), "hierarchy": (1, 3)}
CHANCE = {"sawtooth": 1 / 2, "parity": 1 / 2, "hierarchy": 1 / 6}
CLEARLY = 0.05  # of accuracy, between the medians, beside bands that do not meet


def cells(options: Options) -> Groups:
    """Return a group for each construction and each network at its start, and one for each trained network's seeds and rates."""
    groups: list[list[Cell]] = [[{"kind": "construction", "folds": folds}] for folds in options["folds"]]
    groups += [
        [{"kind": "start", "depth": depth, "units": options["units"], "seed": seed} for seed in options["seeds"]]
        for depth in options["start_depths"]
    ]
    fixed = {name: options[name] for name in ("steps", "batch_size")}
    for task in options["tasks"]:
        size = options["tree_parameters" if task == "hierarchy" else "parameters"]
        for depth in DEPTHS[task]:
            own = {"kind": "trained", "task": task, "depth": depth, "parameters": size, **fixed}
            groups.append([{**own, "rate": rate, "seed": seed} for rate in options["rates"] for seed in options["seeds"]])
    return groups


def measure(group: Sequence[Cell]) -> Iterator[Row]:
    """Count, or train."""
    for kind, some in groupby(group, key=lambda cell: cell["kind"]):
        own = list(some)
        if kind == "construction":
            yield from (construct(cell["folds"]) for cell in own)
        elif kind == "start":
            yield from (count_at_start(cell["depth"], cell["units"], cell["seed"]) for cell in own)
        else:
            yield from _train(own)


def _train(group: Sequence[Cell]) -> Iterator[Row]:
    task, depth = group[0]["task"], group[0]["depth"]
    data = data_of(task, **TASKS[task])
    if task == "hierarchy":
        yield from (_train_tree(cell, data) for cell in group)
        return
    shape = {"depth": depth, "inputs": data.facts["shape"][0], "outputs": data.facts["classes"]}
    spec = Mlp(width=equal_width(group[0]["parameters"], shape), **shape)
    for row in train_together(group, [(spec, _asked(cell)) for cell in group], data):
        yield {**row, "width": spec.width}


def _train_tree(cell: Cell, data: Dataset) -> Row:
    patches = (2,) * RULES["levels"] if cell["depth"] > 1 else (2 ** RULES["levels"],)
    width = width_for("parameters", cell["parameters"], patches, RULES["symbols"], RULES["classes"])
    tree = seeded_tree(patches, width, RULES["symbols"], RULES["classes"], cell["seed"])
    return {**told(train(tree, _asked(cell), data=data, progress=lambda *facts: None).record), "width": width}


def _asked(cell: Cell) -> Asked:
    return Asked(cell["steps"], cell["batch_size"], "adam", cell["rate"], seed=cell["seed"])


def read(options: Options, rows: Sequence[Row]) -> Reading:
    """Hold the counts against theory, and the trained networks against each other."""
    built = [row for row in rows if row["kind"] == "construction"]
    exact = all(row["pieces"] == 2 ** row["folds"] and row["largest_error"] < 1e-9 for row in built)
    top = max(built, key=lambda row: row["folds"])
    trained = at_best_rate([row for row in rows if row["kind"] == "trained"], ("task", "depth"))
    verdicts = {task: _compare(task, trained) for task in options["tasks"]}
    wins, losses = ([task for task, (sign, _) in verdicts.items() if sign == side] for side in (1, -1))
    sentence = (
        f"{top['pieces']:,} straight pieces, exactly, from {top['deep_units']} units and {top['deep_parameters']} weights in "
        f"{top['folds']} layers; one layer needs {top['shallow_units']:,} units and {top['shallow_parameters']:,} weights."
    )
    if verdicts:
        sentence += f" Trained at equal parameters, depth wins on {_names(wins)}, and loses on {_names(losses)}."
    answer = "not shown" if not exact else "shown" if len(wins) == len(verdicts) else "shown in part"
    facts = (("largest error of the constructions", number_text(max(row["largest_error"] for row in built))),)
    figures = (_capacity(rows), *((_trained_figure(trained),) if trained else ()))
    table = tuple(line for task in verdicts for line in _lines(task, trained))
    table = table or tuple(
        (f"{row['folds']} folds", str(row["folds"]), str(row["deep_units"]), f"{row['pieces']:,}") for row in built
    )
    header = ("task", "layers", "width", "right on held-out samples") if verdicts else ("task", "layers", "units", "pieces")
    return Reading(
        answer, sentence, facts, header, table, figures, (*_start_words(rows), *(words for _, words in verdicts.values()))
    )


def _compare(task: str, trained: Sequence[tuple[Mapping[str, Any], float, list[Row]]]) -> tuple[int, str]:
    """Return 1 where the deep network is clearly better, -1 where the shallow one is, 0 else; and that in words."""
    values = {at["depth"]: [accuracy(row, CHANCE[task]) for row in own] for at, _, own in trained if at["task"] == task}
    shallow, deep = (values[depth] for depth in DEPTHS[task])
    words = f"{task}: {span(shallow, True)} right with {DEPTHS[task][0]} layer, {span(deep, True)} with {DEPTHS[task][1]}"
    if min(deep) > max(shallow) + CLEARLY:
        return 1, f"{words}: depth wins."
    if min(shallow) > max(deep) + CLEARLY:
        return -1, f"{words}: depth loses. That a deep network can express a function does not say that training finds it."
    return 0, f"{words}: no clear difference."


def layers_of(depth: int) -> str:
    """Return a number of layers in words."""
    return "1 layer" if depth == 1 else f"{depth} layers"


def _names(tasks: Sequence[str]) -> str:
    return " and ".join(tasks) or "none"


def _lines(task: str, trained: Sequence[tuple[Mapping[str, Any], float, list[Row]]]) -> list[tuple[str, ...]]:
    return [
        (task, str(at["depth"]), str(own[0]["width"]), span([accuracy(row, CHANCE[task]) for row in own], True))
        for at, _, own in trained
        if at["task"] == task
    ]


def _start_words(rows: Sequence[Row]) -> tuple[str, ...]:
    counts: dict[int, list[float]] = {}
    for row in rows:
        if row["kind"] == "start":
            counts.setdefault(row["depth"], []).append(float(row["pieces"]))
    if not counts:
        return ()
    units = next(row["units"] for row in rows if row["kind"] == "start")
    told_of = "; ".join(f"{layers_of(depth)}: {span(values)}" for depth, values in sorted(counts.items()))
    return (
        f"Capacity is not what a network starts with: {units} units as He's initialisation draws them have, along a line through "
        f"the inputs, about as many pieces at every depth: {told_of}. The best {units} units have 2^{units // 2}.",
    )


def _capacity(rows: Sequence[Row]) -> Figure:
    built = [row for row in rows if row["kind"] == "construction"]
    lines = [("deep, 2 units a layer", [(float(row["pieces"]), [float(row["deep_units"])]) for row in built])]
    lines.append(("one layer", [(float(row["pieces"]), [float(row["shallow_units"])]) for row in built]))
    title, subtitle = "Units that a sawtooth takes", "exact networks for the tent map folded again and again"
    chart = band_chart(lines, title=title, subtitle=subtitle, axis="straight pieces", log=(True, True))
    folds = log2(max(row["pieces"] for row in built))
    see = f"One layer takes a unit for each piece, the deep one two more for twice the pieces, up to 2^{folds:.0f}."
    return Figure(chart, "Units needed by the number of pieces, both axes logarithmic.", see)


def _trained_figure(trained: Sequence[tuple[Mapping[str, Any], float, list[Row]]]) -> Figure:
    lines = [
        (
            task,
            [(float(at["depth"]), [accuracy(row, CHANCE[task]) for row in own]) for at, _, own in trained if at["task"] == task],
        )
        for task in dict.fromkeys(at["task"] for at, _, _ in trained)
    ]
    title, subtitle = "What is learned at equal parameters", "right on held-out samples; median and range over seeds"
    chart = band_chart(lines, title=title, subtitle=subtitle, axis="layers", percent=True)
    return Figure(chart, "Each network at its own best learning rate.", "A line that falls is a task on which depth does harm.")


def cost(cell: Cell) -> float:
    """Return about how long a cell takes."""
    return 1.0 if cell["kind"] != "trained" else 20.0 if cell["task"] == "hierarchy" else 2.0 * cell["depth"]


POWER_OF_DEPTH = Question(
    title="The power of depth",
    claim="A deep network expresses with a few units what takes one layer exponentially many, and learns it better, too.",
    options={
        "folds": tuple(range(1, 13)),
        "start_depths": (1, 2, 4, 6),
        "units": 48,
        "tasks": ("sawtooth", "parity", "hierarchy"),
        "parameters": 4000,
        "tree_parameters": 30_000,
        "rates": (1e-3, 3e-3, 1e-2),
        "seeds": (0, 1, 2, 3, 4),
        "steps": 800,
        "batch_size": 128,
    },
    quick={"folds": tuple(range(1, 9)), "rates": (3e-3,), "seeds": (0, 1), "steps": 300},
    cells=cells,
    measure=measure,
    read=read,
    cost=cost,
    caveats=(
        "The counts are of the best network of a shape. They say nothing of one that is drawn at random, or trained.",
        "The bound for parity is for one layer on the sum of the bits, not for layers that see the bits themselves.",
        "On the hierarchy the deep network also has the right neighbourhoods and shared weights: see the study depth-or-width.",
        "Equal parameters is one way to be fair. Equal FLOPs and equal time are others: see the study depth-or-width.",
    ),
    citations=("telgarsky2015", "montufar2014", "yarotsky2017", "hanin2019", "cagnetta2024"),
)
