"""One batch through any module: moved, answered, and judged."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import (
    IGNORED,
    LossFunction,
    are_classes,
    batch_size,
    call,
    class_rows,
    known_targets,
    loss_of,
    main_tensor,
    map_tensors,
    split_batch,
    take_samples,
)
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


def log_sum_squared(output: Any, targets: Any) -> Tensor:
    """Return the mean of (log Σ exp logits)² over the targets: what `z_loss` weighs. Chowdhery et al. 2022, PaLM, section 5."""
    values = main_tensor(output)
    if values is None or not are_classes(targets):
        raise BatchError("The targets are no classes", "`z_loss` is about the logits of classes", "Turn it off")
    rows = class_rows(values, targets)[targets.reshape(-1) != IGNORED]
    return torch.logsumexp(rows.float(), dim=1).square().mean()


def parts(batch: Any, count: int) -> Iterator[tuple[Any, float]]:
    """Yield a batch in `count` parts of (nearly) equal size, in order, each with its share of the samples."""
    if count == 1:
        yield batch, 1.0
        return
    size = batch_size(split_batch(batch)[0])
    for rows in torch.arange(size, device="cpu").tensor_split(min(count, size)):
        yield take_samples(batch, slice(int(rows[0]), int(rows[-1]) + 1)), len(rows) / size


def move(batch: Any, device: torch.device) -> Any:
    """Return the same batch with its tensors on a device."""
    return map_tensors(batch, lambda tensor: tensor.to(device, non_blocking=True))


def device_of(model: nn.Module) -> torch.device:
    """Return the device of the first parameter; the CPU for a module without any."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
