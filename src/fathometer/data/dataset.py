"""What every data set is: a name, facts, batches and a held-out part."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from fathometer.data.batches import Batches, in_order
from fathometer.data.columns import Column, Converted

Pairs = Iterator[tuple[Tensor, Tensor]]


@runtime_checkable
class Stream(Protocol):
    """An endless iterator of (inputs, targets) that can say where it stands, and go on from there."""

    def __iter__(self) -> Pairs: ...

    def __next__(self) -> tuple[Tensor, Tensor]: ...

    def state_dict(self) -> dict[str, Any]:
        """Return a small state that JSON can hold and that is the same in all processes."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, in the middle of an epoch, with the same or another number of processes."""
        ...


@runtime_checkable
class Dataset(Protocol):
    """Anything with a name, facts, endless batches to train on and a held-out part to judge on.

    `facts` is a plain dictionary that JSON can hold. It always has `sha256`, a hash of the content; of the rest, what
    applies: `samples`, `held_out_samples`, `shape` of one input, `classes`; for sequences `vocabulary`, `context`, and
    `unigram_entropy` and `bigram_entropy` of the held-out part in nats per token.
    """

    @property
    def name(self) -> str: ...

    @property
    def facts(self) -> Mapping[str, Any]: ...

    def batches(self, batch_size: int, seed: int = 0, *, rank: int = 0, world: int = 1) -> Stream:
        """Return the part of process `rank` of endless batches; `batch_size` is that of all processes together."""
        ...

    def held_out(self, batch_size: int = 64) -> Pairs:
        """Return an iterator over each held-out sample once."""
        ...


@dataclass(frozen=True, eq=False)
class Samples:
    """A data set of numbered samples in two parts: what it trains on and what is held out."""

    name: str
    facts: Mapping[str, Any]
    train_inputs: Column
    train_targets: Column
    test_inputs: Column
    test_targets: Column

    def batches(self, batch_size: int, seed: int = 0, *, rank: int = 0, world: int = 1) -> Batches:
        """Return endless batches that are shuffled anew in every epoch and resume in the middle of one."""
        identity = self.facts["sha256"]
        return Batches(self.train_inputs, self.train_targets, batch_size, seed, rank=rank, world=world, identity=identity)

    def held_out(self, batch_size: int = 64) -> Pairs:
        """Return an iterator over each held-out sample once, always in the same order."""
        return in_order(self.test_inputs, self.test_targets, batch_size)


def in_two_parts(
    name: str,
    facts: Mapping[str, Any],
    inputs: Tensor,
    targets: Tensor,
    *,
    train: int,
    convert: Callable[[Tensor], Tensor] | None = None,
) -> Samples:
    """Return samples of which the first `train` are trained on and the rest held out.

    `convert` turns the stored inputs of a batch into what a network takes.
    """
    columns = [Converted(part, convert) if convert else part for part in (inputs[:train], inputs[train:])]
    counted = {"samples": train, "held_out_samples": len(inputs) - train, **facts}
    return Samples(name, counted, columns[0], targets[:train], columns[1], targets[train:])


def content_hash(parts: Iterable[bytes | str | np.ndarray]) -> str:
    """Return the SHA-256 of some parts and their lengths, so that where one ends matters too.

    >>> content_hash(["ab", "c"]) == content_hash(["a", "bc"])
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        content = np.ascontiguousarray(content).tobytes() if isinstance(content, np.ndarray) else content
        digest.update(len(content).to_bytes(8, "big"))
        digest.update(content)
    return digest.hexdigest()


def class_facts(train: Tensor, train_targets: Tensor, test: Tensor, test_targets: Tensor, classes: int) -> dict[str, Any]:
    """Return the facts of samples with one class each.

    The hash is of the numbers rounded to a thousandth: the last bit of a mean differs from machine to machine.
    """
    parts = [(part.double() * 1000).round().long().numpy() for part in (train, train_targets, test, test_targets)]
    return {
        "samples": len(train),
        "held_out_samples": len(test),
        "shape": list(train.shape[1:]),
        "classes": classes,
        "sha256": content_hash(parts),
    }
