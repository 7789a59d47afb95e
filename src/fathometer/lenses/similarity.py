"""How alike two layers are: linear CKA, unbiased, in small batches."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from fathometer.contract import batch_size
from fathometer.errors import BatchError
from fathometer.lenses.streaming import in_batches, stream

BATCH_SIZE = 64
LEAST = 4  # rows that the unbiased estimate needs
MOST_ROWS = 512  # of one batch, where rows are tokens
Matrix = Float64[np.ndarray, "one other"]


@dataclass(frozen=True, eq=False)
class Similarity:
    """Linear CKA between every two depth points: 1 is alike but for a turn and a scale, about 0 is unrelated.

    `points` are the rows and `others` the columns of `cka`; `num_rows` is how many samples or tokens were compared.
    """

    points: tuple[str, ...]
    others: tuple[str, ...]
    cka: Matrix
    num_rows: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists."""
        table = {"points": list(self.points), "others": list(self.others), "num_rows": self.num_rows}
        return {**table, "cka": [[float(value) for value in row] for row in self.cka]}


def linear_cka(one: Float[Tensor, "row width"], other: Float[Tensor, "row width2"], *, unbiased: bool = True) -> float:
    """Return the linear CKA of two representations of the same rows.

    HSIC(K, L) / √(HSIC(K, K) HSIC(L, L)) with K = XXᵀ. Unbiased: Song et al. 2012's HSIC₁, which does not grow with the width;
    biased: of centred features, always between 0 and 1. The same after any turn, shift or common scale of either side.
    Kornblith et al. 2019, Nguyen et al. 2021. Raises `BatchError` for fewer than four rows.
    """
    if len(one) != len(other) or len(one) < LEAST:
        raise BatchError(
            f"There are {len(one)} and {len(other)} rows", f"Both have the same rows, {LEAST} at least", "Give more samples"
        )
    grams = torch.stack([_gram(one), _gram(other)])
    table = _hsic(grams) if unbiased else _biased_hsic(grams)
    return float(_normalised(table.numpy(), table.diagonal().numpy(), table.diagonal().numpy())[0, 1])


def similarity(
    model: nn.Module,
    data: Any,
    other: nn.Module | None = None,
    *,
    layers: Iterable[str] | None = None,
    batch_size: int = BATCH_SIZE,
) -> Similarity:
    """Return the unbiased linear CKA of every layer with every layer, of one model or of two with any depths.

    `data` are inputs, or an iterable of batches of inputs; rows are samples with all that a layer holds of them, but tokens (at
    most 512 of a batch) where every layer gives `(batch, time, width)`. HSIC₁ is averaged over batches before the ratio is
    taken, so the result does not depend on `batch_size` but for chance (Nguyen et al. 2021), and the memory is that of a batch.

    >>> from fathometer import build
    >>> found = similarity(build("mlp-5"), torch.randn(32, 64), build("mlp-5@depth=2"))
    >>> found.cka.shape, found.others[0], round(float(found.cka[0, 0]), 6)
    ((6, 3), 'input', 1.0)
    """
    batches = in_batches(data, batch_size) if isinstance(data, Tensor | dict) else list(data)
    tables, rows = list[Tensor](), 0
    streams = [stream(model, batches, layers=layers), *([stream(other, batches, layers=layers)] if other is not None else [])]
    names: list[tuple[str, ...]] = []
    for seens in _together(streams):
        names = [tuple(seen.tensors) for seen in seens]
        tensors = [tensor for seen in seens for tensor in seen.tensors.values()]
        flat = _rows(tensors, _size(seens[0].inputs))
        if len(flat[0]) >= LEAST:
            tables.append(_hsic(torch.stack([_gram(each) for each in flat])))
            rows += len(flat[0])
    if not tables:
        raise BatchError("No batch has four rows", "The unbiased estimate needs four", "Give more samples")
    table = torch.stack(tables).mean(0).numpy()
    first = len(names[0])
    left, right = slice(0, first), slice(first, None) if other is not None else slice(0, first)
    diagonal = table.diagonal()
    cka = _normalised(table[left, right], diagonal[left], diagonal[right])
    return Similarity(names[0], names[-1], cka, rows)


def _together(streams: list[Any]) -> Iterable[tuple[Any, ...]]:
    yield from zip(*streams, strict=True)


def _size(inputs: Any) -> int:
    return batch_size(inputs)


def _rows(tensors: list[Tensor], samples: int) -> list[Tensor]:
    """Return each tensor as rows of the same things: tokens where all have as many of them, else samples."""
    times = {tensor.shape[1] if tensor.ndim == 3 else None for tensor in tensors}
    if len(times) == 1 and None not in times:
        flat = [tensor.flatten(0, 1) for tensor in tensors]
        step = -(-len(flat[0]) // MOST_ROWS)
        return [each[::step] for each in flat]
    return [tensor.reshape(samples, -1) for tensor in tensors]


def _gram(rows: Tensor) -> Float64[Tensor, "row row2"]:
    rows = rows.double()
    rows = rows - rows.mean(0)  # changes nothing but rounding: HSIC does not see a shift
    return rows @ rows.T


def _hsic(grams: Float64[Tensor, "layer row row2"]) -> Float64[Tensor, "layer layer2"]:
    """Return HSIC₁ of every pair of Gram matrices: Song et al. 2012, equation 5."""
    count = grams.shape[1]
    hollow = grams.clone()
    hollow.diagonal(dim1=1, dim2=2).zero_()
    flat, sums = hollow.flatten(1), hollow.sum(2)
    totals = sums.sum(1)
    table = flat @ flat.T + torch.outer(totals, totals) / ((count - 1) * (count - 2)) - 2 / (count - 2) * sums @ sums.T
    return table / (count * (count - 3))


def _biased_hsic(grams: Float64[Tensor, "layer row row2"]) -> Float64[Tensor, "layer layer2"]:
    flat = grams.flatten(1)  # of centred features: HKH = K
    return flat @ flat.T / (grams.shape[1] - 1) ** 2


def _normalised(table: Any, left: Any, right: Any) -> Matrix:
    """Return the ratio; a layer that is the same for all rows is like nothing: nan."""
    size = np.outer(left, right)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((left[:, None] > 0) & (right[None, :] > 0), table / np.sqrt(np.abs(size)), nan)
