"""The numbers of `geometry` for many depth points at once, bit for bit."""

from collections.abc import Sequence
from math import inf, isfinite

import torch
from jaxtyping import Float
from torch import Tensor

from fathometer.instruments.geometry import (
    MIN_SAMPLES,
    NORM_HOLDS,
    TINY,
    shared_direction,
    spread,
)

Rows = Float[Tensor, "point sample unit"]
# Numbers that are taken together: more would not stay in a core's cache, and be slower.
MAX_TOGETHER = 2**16
ALIGNED = 8  # float64 numbers in 64 bytes, where torch's memory begins: sums there run in the same order for every point


def may_join(rows: Float[Tensor, "sample unit"]) -> bool:
    """Return whether these rows have the same sums to the last bit among others: points begin at equally aligned places."""
    return rows.shape[0] % ALIGNED == 0 and rows.is_contiguous()


def energies(rows: Rows | Float[Tensor, "point sample"]) -> list[float]:
    """Return the sum of squares of each point."""
    return torch.stack([flat.dot(flat) for flat in rows.flatten(1)]).tolist()


def spreads(rows: Rows, floors: Sequence[float]) -> list[float | None]:
    """Return the `spread` of each point."""
    num_samples = rows.shape[1]
    lengths = torch.linalg.vector_norm(rows, dim=2, keepdim=True)
    usual = _between_zero_and_infinity(lengths)
    unit = rows / lengths
    around = energies(unit.sub_(unit.mean(dim=1, keepdim=True)))
    if num_samples < 2:
        return [None] * len(rows)
    return [
        max(energy / (num_samples - 1), floor) if is_usual else spread(own, floor)
        for own, energy, floor, is_usual in zip(rows, around, floors, usual, strict=True)
    ]


def effective_ranks(rows: Rows, sizes: Sequence[float], floors: Sequence[float]) -> list[float | None]:
    """Return the `effective_rank` of each point; `sizes` are the `energies` of the rows."""
    if rows.shape[1] < MIN_SAMPLES:
        return [None] * len(rows)
    centred = rows - rows.mean(dim=1, keepdim=True)
    around, squares = energies(centred), energies(centred @ centred.mT)
    return [
        energy**2 / square if energy > floor * size and 0 < square < inf else None
        for energy, square, size, floor in zip(around, squares, sizes, floors, strict=True)
    ]


def shared_directions(inputs: Rows, outputs: Rows) -> list[float | None]:
    """Return the `shared_direction` of each point."""
    if inputs.shape[2] < 2:
        return [None] * len(inputs)
    x, y = inputs - inputs.mean(dim=2, keepdim=True), outputs - outputs.mean(dim=2, keepdim=True)
    lengths = torch.linalg.vector_norm(x, dim=2) * torch.linalg.vector_norm(y, dim=2)
    usual = [least > 0 for least in lengths.amin(dim=1).tolist()]
    means = (torch.linalg.vecdot(x, y) / lengths).mean(dim=1).tolist()
    return [
        mean if is_usual else shared_direction(one, other)
        for mean, is_usual, one, other in zip(means, usual, inputs, outputs, strict=True)
    ]


def normalised_shares(places: Rows) -> list[float | None]:
    """Return the `normalised_share` of each point; one axis holds all of its places."""
    squares = (places / places.abs().amax(dim=(1, 2), keepdim=True).clamp(min=TINY)).square_()
    means = squares.mean(dim=1, keepdim=True)
    shares = _held(squares, means)
    rest = [index for index, share in enumerate(shares) if share is None or share < NORM_HOLDS]
    if rest:
        some, least = (squares, means) if len(rest) == len(shares) else (squares[rest], means[rest])
        some = some / least.where(least > 0, 1)
        for index, other in zip(rest, _held(some, some.mean(dim=1, keepdim=True)), strict=True):
            known = [share for share in (shares[index], other) if share is not None]
            shares[index] = max(known, default=None)
    return shares


def _held(squares: Rows, means: Float[Tensor, "point 1 unit"]) -> list[float | None]:
    if squares.shape[1] < MIN_SAMPLES or squares.shape[2] < 2:
        return [None] * len(squares)
    sums = squares.sum(dim=2)
    wholes, parts = energies(sums - sums.mean(dim=1, keepdim=True)), energies(squares - means)
    return [
        max(1 - whole / part, 0.0) if isfinite(whole) and part > 1e-24 * size else None
        for whole, part, size in zip(wholes, parts, energies(squares), strict=True)
    ]


def _between_zero_and_infinity(lengths: Tensor) -> list[bool]:
    """Return for each point whether all of its lengths are; NaN is not."""
    flat = lengths.flatten(1)
    return [low > 0 and high < inf for low, high in zip(flat.amin(dim=1).tolist(), flat.amax(dim=1).tolist(), strict=True)]
