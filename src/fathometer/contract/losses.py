"""What the loss is when none is given, and what fits what."""

from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from fathometer.contract.values import main_tensor, tensors_in
from fathometer.errors import BatchError, ModelError

IGNORED = -100  # torch's own mark for "no target here"


def are_classes(targets: Any) -> TypeGuard[Tensor]:
    """Return whether targets are a tensor of integers, which number classes."""
    return isinstance(targets, Tensor) and not targets.is_floating_point() and targets.dtype != torch.bool


def default_loss(output: Any, targets: Any) -> Tensor:
    """Return cross-entropy for integer targets and mean squared error for floats.

    Cross-entropy takes outputs `(batch, classes)`, `(batch, time, classes)` or `(batch, classes, height, width)`.
    """
    values = output_tensor(output)
    if not isinstance(targets, Tensor):
        raise BatchError(
            f"The targets are a {type(targets).__name__}", "The default losses take a tensor", "Pass loss_fn= as well"
        )
    if targets.dtype == torch.bool:
        raise BatchError("The targets are booleans", "Integers are classes, floats are values", "Pass targets.float() or .long()")
    if targets.is_floating_point():
        return _squared_error(values, targets)
    return nn.functional.cross_entropy(class_rows(values, targets), targets.reshape(-1).long())


def class_rows(values: Tensor, targets: Tensor) -> Tensor:
    """Return the outputs as rows `(sample, classes)` that fit integer targets, or raise what does not fit.

    The classes are the last axis, as in `(batch, time, classes)`, or else the second, as torch has it for images.
    """
    if values.ndim == targets.ndim + 1 and values.shape[:-1] == targets.shape:
        rows = values.reshape(-1, values.shape[-1])
    elif values.ndim == targets.ndim + 1 and values.shape[:1] + values.shape[2:] == targets.shape:
        rows = values.movedim(1, -1).reshape(-1, values.shape[1])
    else:
        raise BatchError(
            f"Integer targets of shape {tuple(targets.shape)} do not fit outputs of shape {tuple(values.shape)}",
            "Cross-entropy needs one class for each sample: outputs (batch, classes), targets (batch)",
            "Pass float targets of the outputs' shape for a regression, or loss_fn= for another loss",
        )
    _check_classes(targets, rows.shape[1])
    return rows


def _check_classes(targets: Tensor, classes: int) -> None:
    """Raise where a target is no class; on a device this waits for one transfer, since a wrong class would end the process."""
    is_target = targets != IGNORED
    if not targets.numel() or bool(((targets >= 0) & (targets < classes) | ~is_target).all()):
        return
    kept = targets[is_target]
    raise BatchError(
        f"The targets run from {int(kept.min())} to {int(kept.max())}",
        f"With {classes} outputs the classes are 0 to {classes - 1}",
        "Number the classes from 0, or give the model more outputs",
    )


def _squared_error(values: Tensor, targets: Tensor) -> Tensor:
    if values.shape != targets.shape:
        raise BatchError(
            f"Float targets of shape {tuple(targets.shape)} do not fit outputs of shape {tuple(values.shape)}",
            "Mean squared error needs equal shapes",
            "Reshape the targets, pass integers for classes, or pass loss_fn=",
        )
    return nn.functional.mse_loss(values, targets.to(values.dtype))


def output_tensor(output: Any) -> Tensor:
    """Return the tensor that the loss is about, or raise that there is none."""
    values = main_tensor(output)
    if values is not None:
        return values
    kinds = [tensor.dtype for _, tensor in tensors_in(output)]
    if kinds:
        raise ModelError(
            f"The model returns {kinds[0]} only", "A gradient needs floating-point outputs", "Return the scores instead"
        )
    raise ModelError(f"The model returns no tensor but a {type(output).__name__}", "Its output must hold a tensor", "Return it")
