"""One batch through any module: moved, answered, and judged."""

from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import LossFunction, call, known_targets, loss_of, map_tensors, split_batch
from fathometer.errors import BatchError


def answer(model: nn.Module, batch: Any, loss_fn: LossFunction | None = None) -> tuple[Any, Tensor]:
    """Return what the model answers to a batch, and its loss.

    The loss is `loss_fn(output, targets)`; without one, cross-entropy for integer targets and mean squared error for
    floats. Inputs alone take the `loss` that the output brings, or else the `labels` among the inputs as targets.
    """
    inputs, targets = split_batch(batch)
    output, known = call(model, inputs), known_targets(inputs, targets)
    loss = loss_of(output, targets if loss_fn is None else known, loss_fn)
    loss = loss_of(output, known) if loss is None else loss
    if loss is None:
        raise BatchError(
            f"The batch is {type(inputs).__name__} without targets, and the output brings no `loss`",
            "Training takes pairs (inputs, targets)",
            "Yield (inputs, targets) from the data",
        )
    return output, loss


def move(batch: Any, device: torch.device) -> Any:
    """Return the same batch with its tensors on a device."""
    return map_tensors(batch, lambda tensor: tensor.to(device, non_blocking=True))


def device_of(model: nn.Module) -> torch.device:
    """Return the device of the first parameter; the CPU for a module without any."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
