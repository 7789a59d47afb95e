"""A model with its batch and its loss, however they are given."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import (
    LossFunction,
    batch_size,
    known_targets,
    loss_in,
    loss_of,
    output_tensor,
    split_batch,
    tensors_in,
    unwrapped,
)
from fathometer.errors import BatchError, kind_of, shown


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
    def batch(self) -> tuple[Any, Any]:
        """Return the batch as it is passed around: always a pair, so that two inputs are not taken for one and a target."""
        return self.inputs, self.targets

    @property
    def known_targets(self) -> Any:
        """Return the targets, also where they come among the inputs as `labels`."""
        return known_targets(self.inputs, self.targets)

    def has_loss(self, output: Any) -> bool:
        """Return whether there is a loss to speak of: one that was given, follows from the targets, or is in the output."""
        return self.loss_fn is not None or self.known_targets is not None or loss_in(output) is not None

    def loss_of(self, output: Any) -> Tensor:
        """Return the scalar loss of an output, or raise a `BatchError` that says what does not fit."""
        loss = self._given_loss(output)
        loss = _cotangent_loss(output, self.seed) if loss is None else loss
        if not loss.is_floating_point() or not loss.requires_grad:
            raise BatchError(
                "The loss does not depend on any trainable parameter"
                if loss.is_floating_point()
                else f"The loss is a number of type {loss.dtype}",
                "A gradient must be able to flow back from it",
                "Remove .detach(), .item(), .argmax() and torch.no_grad() on the way, or unfreeze parameters",
            )
        return loss

    def _given_loss(self, output: Any) -> Tensor | None:
        known = self.known_targets
        try:
            if self.loss_fn is not None:
                return loss_of(output, known, self.loss_fn)
            own = loss_of(output, self.targets)
            return own if own is not None or known is None else loss_of(output, known)
        except SystemExit:
            raise BatchError(
                "The loss function called sys.exit", "It must return a number", "Raise an error in its place, and mend that"
            ) from None


def make_case(model: nn.Module, batch: Any, loss_fn: LossFunction | None = None, seed: int = 0) -> Case:
    """Return the case of a model and a batch: `(inputs, targets)`, inputs alone, or a dictionary of arguments."""
    inputs, targets = split_batch(batch)
    case = Case(unwrapped(model), inputs, targets, loss_fn, seed)
    if loss_fn is not None and not callable(loss_fn):
        given = f"`loss_fn` is {shown(loss_fn)}" if isinstance(loss_fn, str) else f"`loss_fn` is {kind_of(loss_fn)}"
        raise BatchError(
            given, "It must be a function of (output, targets)", "Pass torch.nn.functional.cross_entropy, for example"
        )
    if loss_fn is not None and case.known_targets is None:
        raise BatchError(
            "A loss function is given, but the batch has inputs alone",
            "loss_fn(output, targets) needs targets",
            "Pass the batch as (inputs, targets)",
        )
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
    direction = torch.randn(values.shape, generator=generator, device="cpu").to(values)
    return (values * direction).sum()
