"""What each layer makes of each sample, or of each place of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from fathometer.contract import batch_size
from fathometer.errors import BatchError, ModelError
from fathometer.lenses.streaming import stream

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
    kept: dict[str, list[np.ndarray]] = {}
    for seen in stream(model, batches, layers=layers):
        for name, tensor in seen.tensors.items():
            kept.setdefault(name, []).append(_features(tensor, name, batch_size(seen.inputs), max_features))
    return Representations(tuple(kept), tuple(np.concatenate(parts) for parts in kept.values()))


def represent_places(
    model: nn.Module,
    batches: Iterable[Any],
    samples: Int64[np.ndarray, " item"],
    places: Int64[np.ndarray, " item"],
    *,
    shape: tuple[int, ...],
    layers: Iterable[str] | None = None,
) -> Representations:
    """Return one vector for each item and point: what the layer holds at a place of a sample.

    Samples count through all batches; places through an input of `shape` `(time,)` or `(height, width)`, row by row. Only the
    chosen places are kept, so the memory does not grow with the inputs. Where a layer has a coarser map, its cell over the
    place is taken; a vision transformer's patches are such a map; a layer without places gives its vector for all of them.
    """
    kept: dict[str, np.ndarray] = {}
    start = 0
    for seen in stream(model, batches, layers=layers):
        size = batch_size(seen.inputs)
        here = np.flatnonzero((samples >= start) & (samples < start + size))
        rows, where = torch.from_numpy(samples[here] - start), torch.from_numpy(places[here])
        for name, tensor in seen.tensors.items():
            _check_batch(tensor, name, size)
            found = at_places(tensor, rows, where, shape).float().cpu().numpy()
            kept.setdefault(name, np.zeros((len(samples), found.shape[1]), dtype=np.float32))[here] = found
        start += size
    if len(samples) and samples.max() >= start:
        raise BatchError(f"Sample {samples.max()} is asked for", f"There are {start} samples", "Give more data")
    return Representations(tuple(kept), tuple(kept.values()))


def at_places(tensor: Tensor, rows: Tensor, places: Tensor, shape: tuple[int, ...]) -> Float[Tensor, "item width"]:
    """Return the vectors of a batch's `tensor` at some rows and places; see `represent_places`."""
    rows, places = rows.to(tensor.device), places.to(tensor.device)
    if tensor.ndim == 2:
        return tensor[rows]
    if tensor.ndim == 3 and len(shape) == 1:
        return tensor[rows, places * tensor.shape[1] // shape[0]]
    if tensor.ndim == 3:
        side, first = _patches(tensor.shape[1])
        down, across = places // shape[1] * side // shape[0], places % shape[1] * side // shape[1]
        return tensor[rows, first + down * side + across]
    height, width = tensor.shape[-2:]
    down, across = places // shape[-1] * height // shape[0], places % shape[-1] * width // shape[-1]
    return tensor[rows, :, down, across]


def _patches(length: int) -> tuple[int, int]:
    """Return the side of a square of patches and where it begins: behind the class token, if there is one."""
    side = isqrt(length)
    first = length - side * side
    if first > 2:
        raise ModelError(f"A layer has {length} tokens", "An image's patches form a square", "Name other `layers`")
    return side, first


def _check_batch(tensor: Tensor, name: str, samples: int) -> None:
    if tensor.ndim == 0 or len(tensor) != samples:
        raise ModelError(
            f'"{name}" gives {tuple(tensor.shape)} for {samples} samples',
            "The first dimension of what a layer gives is the batch",
            "Name other `layers`",
        )


def _features(tensor: Tensor, name: str, samples: int, max_features: int) -> np.ndarray:
    _check_batch(tensor, name, samples)
    tensor = tensor.float()
    if tensor.ndim > 2 and tensor[0].numel() > max_features:
        tensor = tensor.mean(1) if tensor.ndim == 3 else tensor.flatten(2).mean(2)
    flat = tensor.reshape(samples, -1)
    if flat.shape[1] > max_features:
        flat = flat[:, torch.linspace(0, flat.shape[1] - 1, max_features, device=flat.device).long()]
    return flat.cpu().numpy()
