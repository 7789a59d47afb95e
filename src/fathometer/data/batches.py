"""Seeded, endless batches that resume exactly where they stopped."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fathometer.data.columns import Column
from fathometer.errors import BatchError, kind_of, shown


class Batches:
    """An endless iterator of (inputs, targets), shuffled anew in every epoch.

    The order of epoch e depends on (seed, e) alone, so the state is a few small numbers. The last short batch of an
    epoch is dropped; data smaller than one batch come whole. `batch_size` counts the samples of all processes together:
    process `rank` of `world` gets its part of each batch, in the order of ranks, and the state is the same in all of
    them, so a run may go on with another `world`. `identity`, a hash of the data, keeps a state from other data out.

    >>> batches = Batches(torch.arange(6.0), torch.arange(6), batch_size=4, seed=0)
    >>> next(batches)[0].shape
    torch.Size([4])
    """

    def __init__(
        self,
        inputs: Column,
        targets: Column,
        batch_size: int,
        seed: int = 0,
        *,
        rank: int = 0,
        world: int = 1,
        identity: str = "",
    ) -> None:
        _check(inputs, targets, batch_size)
        self.inputs, self.targets, self.seed, self.identity = inputs, targets, seed, identity
        self.batch_size = min(batch_size, len(inputs))
        _check_share(self.batch_size, seed, rank, world)
        self.rank, self.world = rank, world
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
        share = self.batch_size // self.world
        start = self.position * self.batch_size + self.rank * share
        chosen = self._order[start : start + share]
        self.position += 1
        return self.inputs[chosen], self.targets[chosen]

    def state_dict(self) -> dict[str, Any]:
        """Return where all processes stand together, as `load_state_dict` reads it and JSON keeps it."""
        return {
            "seed": self.seed,
            "epoch": self.epoch,
            "position": self.position,
            "batch_size": self.batch_size,
            "samples": len(self.inputs),
            "identity": self.identity,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of the same data and batch size; raise `BatchError` for another."""
        here = self.state_dict()
        if not isinstance(state, Mapping):
            raise BatchError(f"The saved state is {kind_of(state)}", "It is a table", "Take an earlier checkpoint")
        if missing := sorted(here.keys() - state.keys()):
            raise BatchError(
                f"The saved state lacks `{missing[0]}`", f"It needs {', '.join(here)}", "Pass what `state_dict` gave"
            )
        for name in ("batch_size", "samples", "identity"):
            if state[name] != here[name]:
                raise BatchError(
                    f"The saved state has `{name}` {state[name]}",
                    f"These batches have {here[name]}",
                    "Resume with the data and batch size that the run began with",
                )
        _check_place(state, self.batches_per_epoch)
        self.seed, self.epoch, self.position = state["seed"], state["epoch"], state["position"]
        self._order = self._shuffle()

    def _shuffle(self) -> Tensor:
        return torch.from_numpy(np.random.default_rng((self.seed, self.epoch)).permutation(len(self.inputs)))


def in_order(inputs: Column, targets: Column, batch_size: int = 512) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all samples once, in order; the last batch may be short."""
    _check(inputs, targets, batch_size)
    for start in range(0, len(inputs), batch_size):
        chosen = slice(start, start + batch_size)
        yield inputs[chosen], targets[chosen]


def _check(inputs: Column, targets: Column, batch_size: int) -> None:
    if len(inputs) != len(targets):
        raise BatchError(
            f"There are {len(inputs)} inputs and {len(targets)} targets", "Each input needs its target", "Match them"
        )
    if len(inputs) == 0:
        raise BatchError("There are no samples", "Batches need at least one", "Check how the data are read")
    if batch_size < 1:
        raise BatchError(f"`batch_size` is {batch_size}", "It must be at least 1", "Try 64")


def _check_share(batch_size: int, seed: int, rank: int, world: int) -> None:
    if seed < 0:
        raise BatchError(f"`seed` is {seed}", "It must be 0 or more", "Try 0")
    if not 0 <= rank < world:
        raise BatchError(
            f"`rank` is {rank} and `world` is {world}", "Ranks count from 0 to world - 1", "Pass the process group's own"
        )
    if batch_size % world:
        near = max(world, batch_size - batch_size % world)
        raise BatchError(
            f"A batch has {batch_size} samples, for {world} processes",
            "Each process takes an equal part, or their mean gradient would not be that of the batch",
            f"Try batch_size = {near}, with at least as many samples",
        )


def _check_place(state: Mapping[str, Any], batches_per_epoch: int) -> None:
    for name, most in (("seed", None), ("epoch", None), ("position", batches_per_epoch)):
        value = state[name]
        if type(value) is not int or not 0 <= value <= (2**63 if most is None else most):
            limit = "" if most is None else f" and at most {most}"
            raise BatchError(
                f"The saved state has `{name}` {shown(value)}",
                f"It must be a whole number of at least 0{limit}",
                "Take an earlier checkpoint",
            )
