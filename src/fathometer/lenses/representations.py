"""What each layer makes of each sample, streamed in batches."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from fathometer.contract import batch_size, main_tensor, tensors_in
from fathometer.contract import call as call_model
from fathometer.errors import BatchError, ModelError
from fathometer.instruments import Call, DepthPoint, find_depth_points, listen, unchanged

Array = Float32[np.ndarray, "samples _"]
MAX_FEATURES = 1024


@dataclass(frozen=True, eq=False)
class Representations:
    """The names of the depth points, "input" first, and one array `(samples, width)` for each."""

    points: tuple[str, ...]
    arrays: tuple[Array, ...]


def represent(
    model: nn.Module, batches: Iterable[Any], *, layers: Iterable[str] | None = None, max_features: int = MAX_FEATURES
) -> Representations:
    """Return what the model makes of its inputs at each depth point, in eval mode, without changing it.

    `batches` yields inputs: tensors, or tuples, mappings or dataclasses of tensors. `layers` are names or
    patterns of modules; None finds the repeated blocks. One float32 vector is kept for each sample and point: flattened
    where it has at most `max_features` numbers; else `(batch, time, width)` is averaged over time, and
    `(batch, channel, …)` over place; of what is still wider, `max_features` evenly spaced units are taken.
    """
    rest = iter(batches)
    first = next(rest, None)
    if first is None:
        raise BatchError("There are no inputs", "At least one batch is needed", "Check how the data are read")
    with unchanged(model), torch.no_grad():
        model.eval()
        points = _find_points(model, first, layers)
        kept: dict[str, list[np.ndarray]] = {name: [] for name in ("input", *(point.name for point in points))}
        for inputs in chain([first], rest):
            for name, tensor in _one_batch(model, inputs, points):
                kept[name].append(_features(tensor, name, batch_size(inputs), max_features))
    return Representations(tuple(kept), tuple(np.concatenate(parts) for parts in kept.values()))


def _find_points(model: nn.Module, inputs: Any, layers: Iterable[str] | None) -> tuple[DepthPoint, ...]:
    trace: list[tuple[str, int]] = []
    with listen(model, on_call=lambda call: trace.append((call.name, call.index))):
        call_model(model, inputs)
    return find_depth_points(model, trace, layers).points


def _one_batch(model: nn.Module, inputs: Any, points: tuple[DepthPoint, ...]) -> list[tuple[str, Tensor]]:
    """Return the tensors of one batch, "input" first; copies, as a later layer may write in place."""
    wanted = {(point.leave, point.stop): point.name for point in points}
    found = [("input", _first_tensor(inputs).clone())]

    def keep(call: Call) -> None:
        name = wanted.get((call.name, call.index))
        if name is not None:
            found.append((name, _output_of(call).clone()))

    with listen(model, dict.fromkeys(point.leave for point in points), on_call=keep):
        call_model(model, inputs)
    return found


def _features(tensor: Tensor, name: str, samples: int, max_features: int) -> np.ndarray:
    if tensor.ndim == 0 or len(tensor) != samples:
        raise ModelError(
            f'"{name}" gives {tuple(tensor.shape)} for {samples} samples',
            "The first dimension of what a layer gives is the batch",
            "Name other `layers`",
        )
    tensor = tensor.float()
    if tensor.ndim > 2 and tensor[0].numel() > max_features:
        tensor = tensor.mean(1) if tensor.ndim == 3 else tensor.flatten(2).mean(2)
    flat = tensor.reshape(samples, -1)
    if flat.shape[1] > max_features:
        flat = flat[:, torch.linspace(0, flat.shape[1] - 1, max_features, device=flat.device).long()]
    return flat.cpu().numpy()


def _first_tensor(inputs: Any) -> Tensor:
    tensor = next((tensor for _, tensor in tensors_in(inputs)), None)
    if tensor is None:
        raise BatchError(f"The inputs are {type(inputs).__name__} without a tensor", "A model reads tensors", "Convert them")
    return tensor


def _output_of(call: Call) -> Tensor:
    tensor = main_tensor(call.output)
    if tensor is None:
        raise ModelError(f'"{call.name}" gives no tensor of floating point', "A probe reads numbers", "Name other `layers`")
    return tensor
