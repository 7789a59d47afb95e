"""A grid of 216 networks as stacks, against a loop over separate modules; processor seconds."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter, process_time
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from fathometer.data import Batches, digits
from fathometer.networks import build
from fathometer.records import Asked, Record
from fathometer.runs import local_pool, train
from fathometer.runs import many as train_many
from fathometer.spec import Mlp
from fathometer.training import rate_multiplier

DEPTHS, WIDTHS, SEEDS = (1, 2, 4, 8, 16, 32), (16, 32, 64, 128), (0, 1, 2)
STEPS, REPEATS, COMPARED = 160, 3, 20
RECIPES: tuple[dict[str, Any], ...] = (
    {"optimizer": "adam", "learning_rate": 1e-3},
    {"optimizer": "adamw", "learning_rate": 3e-3, "weight_decay": 0.1, "schedule": "cosine", "warmup": 5, "clip": 1.0},
    {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.9},
)
TARGETS = {"cell": 0.97, 16: 3.5, "all": 1.5}  # times faster than the faster of the two loops
Run = tuple[Mlp, Asked]
Row = dict[str, Any]


@dataclass
class Seconds:
    """Processor seconds of each repeat: `train` one by one, a loop by hand, and `many`; the losses' largest difference."""

    train: list[float] = field(default_factory=list)
    by_hand: list[float] = field(default_factory=list)
    many: list[float] = field(default_factory=list)
    off: float = 0.0


def many() -> list[Row]:
    """Return a row for each depth and width (nine runs in one call), for each width (54), and for all (216).

    The ways take turns, cell by cell, in every repeat; ratios are medians of those pairs. `times` is against the faster loop.
    """
    torch.set_num_threads(1)
    cells = {(depth, width): grid((depth,), (width,)) for depth in DEPTHS for width in WIDTHS}
    wholes = {("all", width): grid(DEPTHS, (width,)) for width in WIDTHS} | {("all", "all"): grid(DEPTHS, WIDTHS)}
    found = {key: Seconds() for key in (*cells, *wholes)}
    for run in grid((2,), (16,)):  # the first run of all finds its code and data on disk
        by_hand([run])
        train_many([run], progress=quiet)
    for _ in range(REPEATS):
        for key, runs in cells.items():
            measure(found[key], runs)
        for key, runs in wholes.items():
            inside = [found[cell] for cell in cells if key[1] in (cell[1], "all")]
            found[key].train.append(sum(cell.train[-1] for cell in inside))
            found[key].by_hand.append(sum(cell.by_hand[-1] for cell in inside))
            seconds, _ = timed(lambda runs=runs: train_many(runs, progress=quiet))
            found[key].many.append(seconds)
            found[key].off = max(cell.off for cell in inside)
    return [row(key, found[key], len(runs)) for key, runs in (cells | wholes).items()]


def many_processes() -> list[Row]:
    """Return the wall seconds of the grid in this process and on two workers that have started, and the load before."""
    torch.set_num_threads(1)
    runs, rows = grid(DEPTHS, WIDTHS), []
    with local_pool(2) as pool:
        train_many(runs[:4], executor=pool, stack="never", progress=quiet)
        for _ in range(REPEATS):
            load, start = os.getloadavg()[0], perf_counter()
            train_many(runs, progress=quiet)
            between = perf_counter()
            train_many(runs, executor=pool, progress=quiet)
            one, two = between - start, perf_counter() - between
            rows.append({"runs": len(runs), "one_process": one, "two_processes": two, "times": one / two, "load_before": load})
    return rows


def grid(depths: Sequence[int], widths: Sequence[int], steps: int = STEPS) -> list[Run]:
    """Return every depth, width, recipe and seed."""
    return [
        (Mlp(depth=depth, width=width), Asked(steps=steps, seed=seed, **recipe))
        for depth in depths
        for width in widths
        for recipe in RECIPES
        for seed in SEEDS
    ]


def measure(found: Seconds, runs: Sequence[Run]) -> None:
    """Time the three ways on some runs, one after the other, and compare the losses of the first steps."""
    own, expected = timed(lambda: [train(*run, progress=quiet).record for run in runs])
    hand, _ = timed(lambda: by_hand(runs))
    stacked, records = timed(lambda: train_many(runs, progress=quiet))
    found.train.append(own)
    found.by_hand.append(hand)
    found.many.append(stacked)
    found.off = max(found.off, *(off(a, b) for a, b in zip(records, expected, strict=True)))


def by_hand(runs: Sequence[Run]) -> list[float]:
    """Train one module after another in the shortest loop that does the same: fused optimizers, nothing logged or drawn."""
    data, losses = digits(), list[float]()
    for spec, asked in runs:
        model = build(spec, seed=asked.seed)
        optimizer, batches = (
            optimizer_of(model, asked),
            Batches(data.train_inputs, data.train_targets, asked.batch_size, asked.seed),
        )
        for step in range(asked.steps):
            inputs, targets = next(batches)
            loss = cross_entropy(model(inputs), targets)
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            if asked.clip is not None:
                torch.nn.utils.clip_grad_norm_(model.parameters(), asked.clip)
            if asked.schedule != "constant":
                optimizer.param_groups[0]["lr"] = asked.learning_rate * rate_multiplier(step, asked)
            optimizer.step()
        with torch.no_grad():
            losses.append(cross_entropy(model.eval()(data.test_inputs), data.test_targets).item())
    return losses


def optimizer_of(model: torch.nn.Module, asked: Asked) -> torch.optim.Optimizer:
    """Return torch's own optimizer for a recipe."""
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    options = {"momentum": asked.momentum} if asked.optimizer == "sgd" else {}
    kind = kinds[asked.optimizer]
    return kind(model.parameters(), lr=asked.learning_rate, weight_decay=asked.weight_decay, fused=True, **options)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor seconds of some work, and what it returns."""
    start = process_time()
    result = work()
    return process_time() - start, result


def off(found: Record, expected: Record) -> float:
    """Return the largest difference of the losses of the first steps, relative where they are above 1."""
    pairs = zip(found.losses[:COMPARED], expected.losses[:COMPARED], strict=True)
    return max(abs(a - b) / max(1.0, abs(b)) for a, b in pairs)


def row(key: tuple[Any, Any], found: Seconds, runs: int) -> Row:
    """Return the medians of one cell or whole, and whether it kept its target."""
    depth, width = key
    times = median(min(own, hand) / many for own, hand, many in zip(found.train, found.by_hand, found.many, strict=True))
    target = TARGETS["cell"] if depth != "all" else TARGETS.get(width, TARGETS["cell"])
    seconds = {"train": median(found.train), "by_hand": median(found.by_hand), "many": median(found.many)}
    kept = {"target": target, "kept": times >= target, "millionths_off": 1e6 * found.off}
    return {"depth": depth, "width": width, "runs": runs, **seconds, "times": times, **kept}


def quiet(*facts: object) -> None:
    """Draw no bar."""
