"""Training the networks of cells, and the best rate of each."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from math import inf, isfinite
from statistics import median
from time import process_time
from typing import Any

from fathometer.data import Dataset, find_dataset
from fathometer.records import Asked, Record
from fathometer.runs import many
from fathometer.spec import Mlp
from fathometer.studies.question import Cell, Row

TAIL = 20  # steps at the end whose mean is the training loss: one batch's loss is noisy


def train_together(cells: Sequence[Cell], runs: Sequence[tuple[Mlp, Asked]], data: Dataset) -> Iterator[Row]:
    """Yield what came of the runs of some cells, trained as stacks, with an equal share of their processor time each."""
    start = process_time()
    records = many(runs, data=data, stack="always", progress=_silent)
    share = (process_time() - start) / len(cells)
    for _, record in zip(cells, records, strict=True):
        yield {**told(record), "cpu_seconds": share}


def told(record: Record) -> Row:
    """Return what a study keeps of a record; a run that stopped has an infinite loss."""
    stopped = record.status != "finished"
    tail = record.losses[-TAIL:]
    return {
        "train_loss": inf if stopped or not tail else sum(tail) / len(tail),
        "held_out_loss": record.held_out_loss,
        "held_out_accuracy": record.held_out_accuracy,
        "stopped_at": record.stopped_at,
    }


def data_of(name: str, **options: Any) -> Dataset:
    """Return a data set of the catalogue, drawn once in each process."""
    return _drawn(name, tuple(sorted(options.items())))


@cache
def _drawn(name: str, options: tuple[tuple[str, Any], ...]) -> Dataset:
    return find_dataset(name, **dict(options))


def at_best_rate(
    rows: Sequence[Row], by: Sequence[str], score: str = "train_loss"
) -> list[tuple[Mapping[str, Any], float, list[Row]]]:
    """Return, for each combination of `by`, the rate whose median score over seeds is least, and the rows of that rate.

    The score is the training loss, so that what is held out chooses nothing; of equal rates the smaller is taken.
    """
    groups: dict[tuple[Any, ...], dict[float, list[Row]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in by), {}).setdefault(row["rate"], []).append(row)
    found = list[tuple[Mapping[str, Any], float, list[Row]]]()
    for place, rates in groups.items():
        best = min(sorted(rates), key=lambda rate: median(_finite(row[score]) for row in rates[rate]))
        found.append((dict(zip(by, place, strict=True)), best, rates[best]))
    return found


def _finite(value: float | None) -> float:
    return value if value is not None and isfinite(value) else 1e30


def accuracy(row: Row, chance: float) -> float:
    """Return the held-out accuracy of a row; a run that stopped counts as guessing."""
    value = row["held_out_accuracy"]
    return chance if value is None else value


def span(values: Sequence[float], percent: bool = False) -> str:
    """Return the median and the range of some values in words."""
    middle, low, high = median(values), min(values), max(values)
    words = [f"{value:.0%}" if percent else f"{value:.3g}" for value in (middle, low, high)]
    return words[0] if len(values) == 1 or words[1] == words[2] else f"{words[0]} ({words[1]} to {words[2]})"


def _silent(*facts: object) -> None:
    """Draw no bar: the study has its own."""
