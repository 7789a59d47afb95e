"""Deeper plain networks fit worse: whether they do, and by what."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from statistics import median
from typing import Any

from fathometer.data import Dataset
from fathometer.diagnosis import preflight
from fathometer.networks import build
from fathometer.records import Asked
from fathometer.runs import train
from fathometer.spec import ConvNet, Mlp, Spec
from fathometer.studies.best import at_best_rate, data_of, span, told, train_together
from fathometer.studies.degradation_page import figures, mechanism
from fathometer.studies.question import Cell, Groups, Options, Question, Reading, Row

ARMS = {"dense": {"plain": "none", "residual": "scaled"}, "convolutional": {"plain": "none", "residual": "post-activation"}}
WORSE = 1.5  # the plain network's training loss, deep over shallow, with bands that do not meet
SCENES = {"samples": 2048, "size": 16}


def cells(options: Options) -> Groups:
    """Return a group for each network: its rates and seeds, or its profile at the start."""
    groups = list[list[Cell]]()
    for family, arms in ARMS.items():
        own = {name: options[f"{family}_{name}"] for name in ("width", "steps")} | {"batch_size": options["batch_size"]}
        for arm in arms:
            for depth in options[f"{family}_depths"]:
                at = {"family": family, "arm": arm, "depth": depth, "width": own["width"]}
                places = [{"rate": rate, "seed": seed} for rate in options[f"{family}_rates"] for seed in options["seeds"]]
                trained = [{"kind": "trained", **at, **own, **place} for place in places]
                groups += [trained] if family == "dense" else [[cell] for cell in trained]
                groups.append([{"kind": "profile", **at, "seed": options["seeds"][0]}])
    return groups


def measure(group: Sequence[Cell]) -> Iterator[Row]:
    """Train the networks of a group, or look at one before it is trained."""
    data = _data(group[0])
    if group[0]["kind"] == "profile":
        yield from (_profile(cell, data) for cell in group)
    elif group[0]["family"] == "dense":
        runs = [(spec, _asked(cell)) for cell in group if isinstance(spec := _spec(cell), Mlp)]
        yield from train_together(group, runs, data)
    else:
        yield from (told(train(_spec(cell), _asked(cell), data=data, progress=_silent).record) for cell in group)


def _data(cell: Cell) -> Dataset:
    return data_of("digits") if cell["family"] == "dense" else data_of("scenes", **SCENES)


def _spec(cell: Cell) -> Spec:
    kind = ARMS[cell["family"]][cell["arm"]]
    if cell["family"] == "dense":
        return Mlp(depth=cell["depth"], width=cell["width"], residual=kind)
    return ConvNet(depth=cell["depth"], width=cell["width"], classes=6, image_size=SCENES["size"], residual=kind)


def _asked(cell: Cell) -> Asked:
    return Asked(cell["steps"], cell["batch_size"], "adam", cell["rate"], seed=cell["seed"])


def _profile(cell: Cell, data: Dataset) -> Row:
    batch = next(islice(data.batches(64, cell["seed"]), 1))
    check = preflight(build(_spec(cell), seed=cell["seed"]), batch, thorough=False)
    cause = check.findings[0].cause if check.findings else None
    return {"verdict": check.verdict, "cause": cause, "profile": check.profile.to_dict()}


def _silent(*facts: object) -> None:
    """Draw no bar."""


def read(options: Options, rows: Sequence[Row]) -> Reading:
    """Say, for each family, whether the deep plain network fits worse than the shallow one, and than its residual twin."""
    best = at_best_rate([row for row in rows if row["kind"] == "trained"], ("family", "arm", "depth"))
    effects = {family: effect(best, family) for family in ARMS if options[f"{family}_depths"]}
    seen = [family for family, (is_seen, _) in effects.items() if is_seen]
    sentence = " ".join(words for _, words in effects.values())
    answer = "shown" if len(seen) == len(effects) else "shown in part" if seen else "not shown"
    facts = tuple((f"{family}: deep over shallow, training loss", f"{_ratio(best, family):.2g}") for family in effects)
    header = ("family", "arm", "depth", "rate", "training loss", "held-out error")
    table = tuple(
        (
            at["family"],
            at["arm"],
            str(at["depth"]),
            f"{rate:g}",
            span([row["train_loss"] for row in own]),
            span(_errors(own), True),
        )
        for at, rate, own in best
    )
    notes = tuple(words for family in effects for words in mechanism(rows, family))
    return Reading(answer, sentence, facts, header, table, figures(rows, best, list(effects)), notes)


def effect(best: Sequence[tuple[Mapping[str, Any], float, list[Row]]], family: str) -> tuple[bool, str]:
    """Return whether depth degrades a family's plain networks and not its residual ones, and that in words."""
    losses = _losses(best, family)
    shallow, deep = min(losses["plain"]), max(losses["plain"])
    one, other, twin = losses["plain"][shallow], losses["plain"][deep], losses["residual"][deep]
    is_worse = min(other) > max(one) and median(other) > WORSE * median(one)
    is_mended = max(twin) < min(other)
    words = (
        f"{family.capitalize()}: the plain network's training loss is {span(one)} at {shallow} layers, {span(other)} at {deep}; "
        f"the residual one's at {deep} is {span(twin)}."
    )
    if not (is_worse and is_mended):
        words += " The effect is absent at this scale." if not is_worse else " The stream does not mend it here."
    return is_worse and is_mended, words


def _losses(best: Sequence[tuple[Mapping[str, Any], float, list[Row]]], family: str) -> dict[str, dict[int, list[float]]]:
    found: dict[str, dict[int, list[float]]] = {arm: {} for arm in ARMS[family]}
    for at, _, own in best:
        if at["family"] == family:
            found[at["arm"]][at["depth"]] = [row["train_loss"] for row in own]
    return found


def _ratio(best: Sequence[tuple[Mapping[str, Any], float, list[Row]]], family: str) -> float:
    plain = _losses(best, family)["plain"]
    return median(plain[max(plain)]) / median(plain[min(plain)])


def _errors(rows: Sequence[Row]) -> list[float]:
    return [1 - (row["held_out_accuracy"] or 0.0) for row in rows]


def cost(cell: Cell) -> float:
    """Return about how long a cell takes."""
    if cell["kind"] == "profile":
        return 1.0
    return cell["depth"] * cell["steps"] * (1.2e-3 if cell["family"] == "convolutional" else 1.2e-4)


DEGRADATION = Question(
    title="Degradation",
    claim="A deep plain network fits its training data worse than a shallow one, and worse than the same depth with a stream.",
    options={
        "dense_depths": (2, 8, 16, 32, 64),
        "dense_width": 64,
        "dense_steps": 400,
        "dense_rates": (3e-4, 1e-3, 3e-3),
        "convolutional_depths": (20, 56),
        "convolutional_width": 4,
        "convolutional_steps": 160,
        "convolutional_rates": (3e-3, 1e-2),
        "seeds": (0, 1, 2),
        "batch_size": 64,
    },
    quick={"dense_depths": (2, 32), "dense_steps": 150, "dense_rates": (1e-3,), "convolutional_depths": (), "seeds": (0, 1)},
    cells=cells,
    measure=measure,
    read=read,
    cost=cost,
    caveats=(
        "A few hundred steps: a plain network may catch up later. He et al. trained for 64,000.",
        "The convnets are 4 channels wide, on drawn scenes of 16 × 16 pixels: not the size of the effect elsewhere.",
        "The shallow end is the control: width, data, steps and rates are the same there.",
        "He et al. had ruled out vanishing gradients for networks with BatchNorm. The profiles are of the start, where "
        "BatchNorm lets the gradient of a plain network grow towards its first layer.",
    ),
    citations=("he2015residual", "yang2019", "balduzzi2017", "hanin2018"),
)
