"""What the networks learn: small tasks, offline, each with a known-good twin."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from math import log
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.zoo.sequences import marked_sequences, recall, reversal, successors
from fathometer.data import digits

PREFLIGHT = 64  # samples of the batch that a preflight sees


@dataclass(frozen=True, eq=False)
class Task:
    """A training set, a held-out set, and the loss of the best constant prediction on the latter.

    `inputs` and `held_inputs` may be tuples of tensors (an encoder and a decoder). `rates` is the order of the sweep.
    """

    name: str
    inputs: Any
    targets: Tensor
    held_inputs: Any
    held_targets: Tensor
    constant_loss: float
    batch_size: int
    steps: int
    rates: tuple[float, ...] = (1e-3, 3e-3, 3e-4)
    more_rates: tuple[float, ...] = (1e-2, 1e-4)
    as_dict: bool = False

    def batches(self, seed: int) -> Iterator[Any]:
        """Yield `steps` batches, drawn with replacement in an order that `seed` decides."""
        generator = torch.Generator().manual_seed(seed)
        for _ in range(self.steps):
            yield self._batch(torch.randint(0, len(self.targets), (self.batch_size,), generator=generator))

    def held_out(self) -> Any:
        """Return the held-out samples as one batch."""
        return self._pack(self.held_inputs, self.held_targets)

    def preflight_batch(self, size: int = PREFLIGHT) -> Any:
        """Return the batch that is looked at before training."""
        return self._batch(torch.arange(size))

    def _batch(self, rows: Tensor) -> Any:
        inputs = tuple(part[rows] for part in self.inputs) if isinstance(self.inputs, tuple) else self.inputs[rows]
        return self._pack(inputs, self.targets[rows])

    def _pack(self, inputs: Any, targets: Tensor) -> Any:
        return {"input_ids": inputs, "labels": targets} if self.as_dict else (inputs, targets)


def class_entropy(targets: Tensor) -> float:
    """Return the cross-entropy of the best constant prediction, which is the entropy of the classes."""
    shares = torch.bincount(targets.flatten()).double() / targets.numel()
    return float(-(shares[shares > 0] * shares[shares > 0].log()).sum())


def _digits(shape: tuple[int, ...], *, batch_size: int = 64, steps: int = 200, channels: bool = False) -> Task:
    data = digits()
    train, held = (x.reshape(len(x), *shape) for x in (data.train_inputs, data.test_inputs))
    loss = class_entropy(data.test_targets)
    return Task("", train, data.train_targets, held, data.test_targets, loss, batch_size, steps)


def _rows() -> Task:
    data = digits()
    train, held = (x.reshape(-1, 8, 8) for x in (data.train_inputs, data.test_inputs))
    loss = class_entropy(data.test_targets)
    return Task("", train, data.train_targets, held, data.test_targets, loss, 64, 200, (3e-3, 1e-3, 1e-2), (3e-4, 1e-4))


def _autoencoding() -> Task:
    data = digits()
    constant = float(F.mse_loss(data.train_inputs.mean(0).expand_as(data.test_inputs), data.test_inputs))
    return Task("", data.train_inputs, data.train_inputs, data.test_inputs, data.test_inputs, constant, 64, 200)


def _picture_autoencoding() -> Task:
    data = digits()
    constant = float(F.mse_loss(data.train_inputs.mean(0).expand_as(data.test_inputs), data.test_inputs))
    train, held = data.train_inputs.reshape(-1, 1, 8, 8), data.test_inputs.reshape(-1, 1, 8, 8)
    return Task("", train, train, held, held, constant, 64, 200)


def _next_token(as_dict: bool = False) -> Task:
    train, held = successors(2048, seed=1), successors(128, seed=2)
    shifted = (train[:, :-1], train[:, 1:], held[:, :-1], held[:, 1:])
    pairs = (train, train, held, held) if as_dict else shifted  # models that take a dictionary shift the labels themselves
    loss = class_entropy(held[:, 1:])
    return Task("", *pairs, loss, 16, 200, (1e-2, 3e-3, 1e-3), (3e-4, 1e-4), as_dict)


def _sequence_labels(draw: Callable[[int, int], tuple[Tensor, Tensor]], steps: int, size: int = 32) -> Task:
    (train, targets), (held, held_targets) = draw(2048, 1), draw(256, 2)
    return Task(
        "", train, targets, held, held_targets, class_entropy(held_targets), size, steps, (3e-3, 1e-3, 1e-2), (3e-4, 1e-4)
    )


def _reversal() -> Task:
    (train, targets), (held, held_targets) = reversal(2048, 1), reversal(256, 2)
    return Task("", train, targets, held, held_targets, log(10), 64, 200, (3e-3, 1e-3, 1e-2), (3e-4, 1e-4))


MAKERS: dict[str, Callable[[], Task]] = {
    "digits": lambda: _digits((64,)),
    "digit images": lambda: _digits((1, 8, 8), batch_size=32),
    "digit tokens": _rows,
    "autoencoding": _autoencoding,
    "picture autoencoding": _picture_autoencoding,
    "next token": _next_token,
    "next token, dictionary": lambda: _next_token(as_dict=True),
    "recall": lambda: _sequence_labels(recall, 200),
    "marked": lambda: _sequence_labels(marked_sequences, 200),
    "reversal": _reversal,
}


@cache
def task(name: str) -> Task:
    """Return a task by name, made once."""
    made = MAKERS[name]()
    object.__setattr__(made, "name", name)
    return made
