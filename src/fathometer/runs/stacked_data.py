"""The batches of many runs side by side, where the data allow it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fathometer.data import Batches
from fathometer.data.dataset import Dataset
from fathometer.records import Asked
from fathometer.runs.run import MOST_TARGETS
from fathometer.runs.run import _first as first
from fathometer.spec import Mlp

Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Source:
    """Where a run's batches come from, as its `Asked` says; the held-out batches, None where there are none."""

    batches: Callable[[Asked], Iterator[Pair]]
    held_out: Callable[[int], Iterator[Pair]] | None = None


def source_of(data: Any) -> Source | None:
    """Return the source in a data set or a pair of tensors; None for other data, which each run reads in its own way."""
    if isinstance(data, Dataset):
        return Source(partial(_batches, data), lambda size: first(data.held_out(size), MOST_TARGETS))
    if isinstance(data, tuple | list) and len(data) == 2 and all(isinstance(part, Tensor) for part in data):
        return Source(lambda asked: Batches(data[0], data[1], asked.batch_size, asked.seed))
    return None


def _batches(data: Dataset, asked: Asked) -> Iterator[Pair]:
    return iter(data.batches(asked.batch_size, asked.seed))


def fits(source: Source, spec: Mlp, asked: Asked) -> bool:
    """Return whether the first batch is what a stack takes: floats, `spec.inputs` for each sample, and one class or values."""
    try:
        inputs, targets = next(source.batches(asked))
    except (ValueError, TypeError, IndexError, StopIteration):  # the run will say what is wrong
        return False
    if inputs.ndim < 2 or inputs.flatten(1).shape[1] != spec.inputs or inputs.dtype != torch.get_default_dtype():
        return False
    if targets.is_floating_point():
        return targets.dtype == inputs.dtype and targets.shape == (len(inputs), spec.outputs)
    return targets.dtype == torch.int64 and targets.shape == (len(inputs),)


class SideBySide:
    """The next batch of every run; runs with the same seed see the same samples, which are read once."""

    def __init__(self, source: Source, asked: Sequence[Asked], device: torch.device) -> None:
        self.streams = {own.seed: source.batches(own) for own in asked}
        self.device = device
        self.keep(asked)

    def keep(self, asked: Sequence[Asked]) -> None:
        """Go on with these runs alone."""
        self.streams = {seed: stream for seed, stream in self.streams.items() if seed in {own.seed for own in asked}}
        places = {seed: place for place, seed in enumerate(self.streams)}
        self.chosen = torch.tensor([places[own.seed] for own in asked], device=self.device)

    def __next__(self) -> Pair:
        """Return inputs `(run, batch, inputs)` and targets `(run, batch)` or `(run, batch, outputs)`."""
        inputs, targets = zip(*(next(stream) for stream in self.streams.values()), strict=True)
        return self._spread(inputs).flatten(2), self._spread(targets)

    def _spread(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(parts)).to(self.device)[self.chosen]
