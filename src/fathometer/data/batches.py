"""Seeded, endless batches that resume exactly where they stopped."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fathometer.errors import BatchError


class Batches:
    """An endless iterator of (inputs, targets), shuffled anew in every epoch.

    The order of epoch e depends on (seed, e) alone, so the state is three small numbers. The last short batch of an
    epoch is dropped; data smaller than one batch come whole.

    >>> batches = Batches(torch.arange(6.0), torch.arange(6), batch_size=4, seed=0)
    >>> next(batches)[0].shape
    torch.Size([4])
    """

    def __init__(self, inputs: Tensor, targets: Tensor, batch_size: int, seed: int = 0) -> None:
        _check(inputs, targets, batch_size)
        self.inputs, self.targets, self.seed = inputs, targets, seed
        self.batch_size = min(batch_size, len(inputs))
        self.epoch, self.position = 0, 0
        self._order = self._shuffle()

    @property
    def batches_per_epoch(self) -> int:
        """Return the number of batches before the data are shuffled again."""
        return len(self.inputs) // self.batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        if self.position == self.batches_per_epoch:
            self.epoch, self.position = self.epoch + 1, 0
            self._order = self._shuffle()
        start = self.position * self.batch_size
        chosen = self._order[start : start + self.batch_size]
        self.position += 1
        return self.inputs[chosen], self.targets[chosen]

    def state_dict(self) -> dict[str, Any]:
        """Return where the iterator stands, as `load_state_dict` reads it."""
        return {
            "seed": self.seed,
            "epoch": self.epoch,
            "position": self.position,
            "batch_size": self.batch_size,
            "samples": len(self.inputs),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of the same data and batch size; raise `BatchError` for another."""
        for name, here in (("batch_size", self.batch_size), ("samples", len(self.inputs))):
            if state[name] != here:
                raise BatchError(
                    f"The saved state has `{name}` {state[name]}",
                    f"These batches have {here}",
                    "Resume with the data and batch size that the run began with",
                )
        self.seed, self.epoch, self.position = state["seed"], state["epoch"], state["position"]
        self._order = self._shuffle()

    def _shuffle(self) -> Tensor:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.inputs))
        return torch.from_numpy(order).to(self.inputs.device)


def in_order(inputs: Tensor, targets: Tensor, batch_size: int = 512) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all samples once, in order; the last batch may be short."""
    _check(inputs, targets, batch_size)
    yield from zip(inputs.split(batch_size), targets.split(batch_size), strict=True)


def _check(inputs: Tensor, targets: Tensor, batch_size: int) -> None:
    if len(inputs) != len(targets):
        raise BatchError(
            f"There are {len(inputs)} inputs and {len(targets)} targets", "Each input needs its target", "Match them"
        )
    if len(inputs) == 0:
        raise BatchError("There are no samples", "Batches need at least one", "Check how the data are read")
    if batch_size < 1:
        raise BatchError(f"`batch_size` is {batch_size}", "It must be at least 1", "Try 64")
