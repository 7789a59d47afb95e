"""Some numbers of a tensor, evenly spread, by views that cost little."""

from collections.abc import Sequence
from functools import lru_cache
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from fathometer.instruments.geometry import stride

Places = tuple[tuple[int, int], tuple[int, int]]  # sizes and strides of a view
WHOLE = 2**13  # tensors of so few numbers are moved whole, many at once: sooner done than a few numbers of each


def row_sample(tensor: Tensor, rows: int, numbers: int, batch_size: int | None = None) -> Float[Tensor, "sample unit"]:
    """Return about `numbers` entries: at most `rows` samples of a batch, the same units of each; a view where memory allows.

    Samples lie on the first axis, or on the second where only that one is as long as the batch, as in `(time, batch, width)`.
    Of samples and units every n-th is taken, n without a common factor with their number, as `as_rows` does.
    """
    tensor = tensor.detach()
    if tensor.ndim > 2 and _is_second(tensor, batch_size):
        tensor = tensor.movedim(1, 0)
    if tensor.ndim < 2:
        tensor = tensor.reshape(-1, 1)
    places = _row_places(tensor.shape, tensor.stride(), rows, numbers)
    if places is None:
        tensor = tensor.reshape(tensor.shape[0], -1)
        places = _row_places(tensor.shape, tensor.stride(), rows, numbers)
        assert places is not None
    return torch.as_strided(tensor, *places)


def row_samples(tensors: Sequence[Tensor], rows: int, numbers: int, batch_size: int | None) -> Float[Tensor, "point sample unit"]:
    """Return `row_sample` of many tensors of one shape, stacked: small ones in one piece are stacked first, then sampled."""
    first = tensors[0]
    is_small = first.ndim > 1 and first.numel() <= WHOLE and (first.ndim == 2 or not _is_second(first, batch_size))
    if not (is_small and all(one.is_contiguous() for one in tensors)):
        return torch.stack([row_sample(one, rows, numbers, batch_size) for one in tensors])
    places = _row_places(first.shape, first.stride(), rows, numbers)
    assert places is not None  # it lies in one piece
    whole = torch.stack(list(tensors))
    return torch.as_strided(whole, (len(tensors), *places[0]), (first.numel(), *places[1]))


def flat_samples(tensors: Sequence[Tensor], numbers: int) -> Float[Tensor, "tensor number"]:
    """Return `flat_sample` of small tensors of one shape, each in one piece, stacked."""
    whole = torch.stack(list(tensors)).view(len(tensors), -1)
    return whole[:, :: _step(whole.shape[1], numbers)].contiguous()


def unit_sample(tensor: Tensor, rows: int, numbers: int) -> Float[Tensor, "place unit"]:
    """Return about `numbers` entries: some units, at some places of some samples each; a view where memory allows.

    A unit is an entry of the last axis; from four axes on, as in images, an entry of the second.
    """
    tensor = tensor.detach()
    if tensor.ndim > 3:
        tensor = tensor.movedim(1, -1)
    places = _unit_places(tensor.shape, tensor.stride(), rows, numbers)
    if places is None:
        tensor = tensor.reshape(-1, tensor.shape[-1])
        places = _unit_places(tensor.shape, tensor.stride(), rows, numbers)
        assert places is not None
    return torch.as_strided(tensor, *places)


def flat_sample(tensor: Tensor, numbers: int) -> Tensor:
    """Return at most `numbers` entries of a tensor without a graph, by every n-th; a view where memory allows."""
    size = tensor.numel()
    flat = tensor if tensor.is_contiguous() else tensor.contiguous()
    step = _step(size, numbers)
    return torch.as_strided(flat, (-(-size // step),), (step,))


def _is_second(tensor: Tensor, batch_size: int | None) -> bool:
    """Return whether samples lie on the second axis."""
    return batch_size == tensor.shape[1] != tensor.shape[0]


@lru_cache(maxsize=4096)
def _step(size: int, most: int) -> int:
    return stride(size, most)


@lru_cache(maxsize=4096)
def _row_places(shape: tuple[int, ...], strides: tuple[int, ...], rows: int, numbers: int) -> Places | None:
    """Return the view of some samples and units; None where the units of a sample do not lie evenly in memory."""
    units = prod(shape[1:])
    if not _is_even(shape[1:], strides[1:]):
        return None
    row_step = stride(shape[0], rows)
    taken = -(-shape[0] // row_step)
    unit_step = stride(units, max(numbers // max(taken, 1), 1))
    return (taken, -(-units // unit_step)), (strides[0] * row_step, strides[-1] * unit_step)


@lru_cache(maxsize=4096)
def _unit_places(shape: tuple[int, ...], strides: tuple[int, ...], rows: int, numbers: int) -> Places | None:
    """Return the view of some places and units; None where the places do not lie evenly in memory."""
    places, units = prod(shape[:-1]), shape[-1]
    if not _is_even(shape[:-1], strides[:-1]):
        return None
    row_step = stride(places, rows)
    taken = -(-places // row_step)
    unit_step = stride(units, max(numbers // max(taken, 1), 1))
    return (taken, -(-units // unit_step)), (strides[-2] * row_step, strides[-1] * unit_step)


def _is_even(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Return whether all entries lie one step apart in memory, the last axis fastest."""
    return all(strides[axis] == strides[axis + 1] * shape[axis + 1] for axis in range(len(shape) - 1))
