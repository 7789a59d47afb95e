"""A model with its batch and its loss, however they are given."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import LossFunction, batch_size, loss_of, output_tensor, split_batch, tensors_in
from fathometer.errors import BatchError


@dataclass(frozen=True)
class Case:
    """A model, what goes in, what should come out, and how far off it is.

    `targets` is None for inputs alone; `loss_fn(output, targets)` is None for the default: cross-entropy for integer
    targets, mean squared error for floats, the output's own `.loss`, or a seeded random cotangent.
    """

    model: nn.Module
    inputs: Any
    targets: Any = None
    loss_fn: LossFunction | None = None
    seed: int = 0

    @property
    def num_samples(self) -> int:
        """Return the size of the batch."""
        return batch_size(self.inputs)

    @property
    def batch(self) -> Any:
        """Return the batch as it is passed around: a pair, or inputs alone."""
        return self.inputs if self.targets is None else (self.inputs, self.targets)

    @property
    def has_loss(self) -> bool:
        """Return whether there is a loss to speak of, apart from one that the model gives by itself."""
        return self.loss_fn is not None or self.targets is not None

    def loss_of(self, output: Any) -> Tensor:
        """Return the scalar loss of an output, or raise a `BatchError` that says what does not fit."""
        loss = loss_of(output, self.targets, self.loss_fn)
        loss = _cotangent_loss(output, self.seed) if loss is None else loss
        if not loss.requires_grad:
            raise BatchError(
                "The loss does not depend on any trainable parameter",
                "A gradient must be able to flow back from it",
                "Remove .detach(), .item() and torch.no_grad() on the way, or unfreeze parameters",
            )
        return loss


def make_case(model: nn.Module, batch: Any, loss_fn: LossFunction | None = None, seed: int = 0) -> Case:
    """Return the case of a model and a batch: `(inputs, targets)`, inputs alone, or a dictionary of arguments."""
    inputs, targets = split_batch(batch)
    if loss_fn is not None and targets is None:
        raise BatchError(
            "A loss function is given, but the batch has inputs alone",
            "loss_fn(output, targets) needs targets",
            "Pass the batch as (inputs, targets)",
        )
    case = Case(model, inputs, targets, loss_fn, seed)
    if case.num_samples < 1:
        raise BatchError("The batch holds no samples", "At least one is needed, 16 or more are better", "Pass a larger batch")
    return case


def iter_tensors(case: Case) -> Iterator[tuple[str, Tensor]]:
    """Yield (where, tensor) for everything in the batch."""
    yield from ((f"inputs {path}".strip(), tensor) for path, tensor in tensors_in(case.inputs))
    yield from ((f"targets {path}".strip(), tensor) for path, tensor in tensors_in(case.targets))


def _cotangent_loss(output: Any, seed: int) -> Tensor:
    values = output_tensor(output)
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(values.shape, generator=generator).to(values)
    return (values * direction).sum()
