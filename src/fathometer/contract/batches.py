"""What a batch is: a pair, inputs alone, or a dictionary of arguments."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from fathometer.contract.losses import default_loss
from fathometer.contract.values import loss_in, map_tensors, tensors_in
from fathometer.errors import BatchError, FathometerError

LossFunction = Callable[[Any, Any], Tensor]


def split_batch(batch: Any) -> tuple[Any, Any]:
    """Return (inputs, targets); targets are None for inputs alone.

    A tuple or list of two is a pair, whatever it holds; anything else is inputs. Raises `BatchError` without a tensor.
    """
    is_pair = isinstance(batch, list | tuple) and len(batch) == 2 and not hasattr(batch, "_fields")
    inputs, targets = batch if is_pair else (batch, None)
    if not any(True for _ in tensors_in(inputs)):
        raise BatchError(
            "There is no batch" if batch is None else f"The batch holds no tensor: it is a {type(batch).__name__}",
            "Inputs are tensors, or tuples, dictionaries or dataclasses of tensors",
            "Pass (inputs, targets) with torch tensors",
        )
    return inputs, targets


def batch_size(inputs: Any) -> int:
    """Return the first axis of the first tensor that goes in and has one; 1 if none has."""
    return next((int(tensor.shape[0]) for _, tensor in tensors_in(inputs) if tensor.ndim), 1)


def take_samples(batch: Any, rows: Any) -> Any:
    """Return some samples of a batch: every tensor whose first axis is the batch is indexed with `rows`."""
    size = batch_size(split_batch(batch)[0])
    return map_tensors(batch, lambda tensor: tensor[rows] if tensor.ndim and tensor.shape[0] == size else tensor)


def known_targets(inputs: Any, targets: Any) -> Any:
    """Return the targets, also where they come among the inputs under the name `labels`."""
    return inputs.get("labels") if targets is None and isinstance(inputs, Mapping) else targets


def loss_of(output: Any, targets: Any, loss_fn: LossFunction | None = None) -> Tensor | None:
    """Return the scalar loss: of `loss_fn`, by default from the targets, or the output's own; None if there is none."""
    if loss_fn is not None:
        return _checked(_call_loss(loss_fn, output, targets))
    return default_loss(output, targets) if targets is not None else loss_in(output)


def _call_loss(loss_fn: LossFunction, output: Any, targets: Any) -> Any:
    try:
        return loss_fn(output, targets)
    except FathometerError:
        raise
    except Exception as problem:
        raise BatchError(
            f"The loss function raised {type(problem).__name__}: {problem}",
            "loss_fn(output, targets) must take what the model returns and the batch's targets",
            "Call it by hand on one batch, and mend what it says",
        ) from problem


def _checked(loss: Any) -> Tensor:
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        given = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
        raise BatchError(f"The loss function returned {given}", "A loss is one number", "Take its mean, for example")
    return loss.reshape(())
