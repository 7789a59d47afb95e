"""Real weights, some rows at a time, drawn again when they are asked."""

from collections.abc import Iterator

import torch
from torch import Tensor

from fathometer.implicit.draws import generator_for, seed_of

TILE = 2**22  # entries that are there at once: 16 MiB


def tiles(seed: int, shape: tuple[int, int], std: float, kind: str, like: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield the rows of a matrix, a few at a time, with where they stand; the same numbers for the same seed.

    Drawn in float32 with mean 0 and this standard deviation, normal or uniform, and handed out in the type of `like`.
    """
    for index in range(-(-shape[0] // _height(shape))):
        yield tile(index, seed, shape, std, kind, like)


def tile(index: int, seed: int, shape: tuple[int, int], std: float, kind: str, like: Tensor) -> tuple[slice, Tensor]:
    """Return one of the tiles."""
    height = _height(shape)
    rows = slice(index * height, min((index + 1) * height, shape[0]))
    generator = generator_for(seed_of(seed, index, 0, 0), like.device)
    numbers = torch.empty(rows.stop - rows.start, shape[1], device=like.device)
    if kind == "uniform":
        bound = 3**0.5 * std  # U(-b, b) has std b/√3
        numbers.uniform_(-bound, bound, generator=generator)
    else:
        numbers.normal_(0, std, generator=generator)
    return rows, numbers.to(like.dtype)


def streamed_product(x: Tensor, side: int, seed: int, shape: tuple[int, int], std: float, kind: str) -> Tensor:
    """Return x Wᵀ (side 1) or x W (side 0) of x `(vectors, …)`, with one tile of W at a time."""
    out = x.new_zeros(x.shape[0], shape[0] if side else shape[1])
    for rows, weights in tiles(seed, shape, std, kind, x):
        if side:
            out[:, rows] = x @ weights.T
        else:
            out.addmm_(x[:, rows], weights)
    return out


def streamed_row(index: int, seed: int, shape: tuple[int, int], std: float, kind: str, like: Tensor) -> Tensor:
    """Return one row of W."""
    rows, weights = tile(index // _height(shape), seed, shape, std, kind, like)
    return weights[index - rows.start].clone()


def _height(shape: tuple[int, int]) -> int:
    return max(1, TILE // shape[1])
