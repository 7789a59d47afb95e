"""How large is the gradient of a matrix, from products of vectors alone."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from fathometer.implicit.gaussian import Factor, gram


@dataclass
class Tally:
    """‖Σ gᵀ x‖² over all uses of a matrix: Σ (g gᵀ) ∘ (x xᵀ), with all pairs of uses where a matrix has several.

    `pairs` are uses as (rows, columns), rows either vectors `(vector, rows)` or, for a look-up, token numbers `(vector,)`.
    """

    square: float = 0.0
    uses: int = 0
    pairs: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def add(self, g: Tensor, x: Tensor, product: Tensor, of_x: Factor | None, side: int, *, keeps: bool) -> None:
        """Count one use, whose gradient g `(vector, out)` met x `(vector, in)`; `product` is g gᵀ."""
        self.uses += 1
        if keeps:
            self.pairs.append((g.detach(), x.detach()) if side else (x.detach(), g.detach()))
        elif of_x is None:
            self.square = torch.nan
        else:
            self.square += float((product * (of_x.lower @ of_x.lower.T)).sum())

    def add_rows(self, g: Tensor, tokens: Tensor) -> None:
        """Count one look-up of rows, whose gradient was g `(vector, columns)`."""
        self.uses += 1
        self.pairs.append((tokens, g.detach()))

    def norm_square(self) -> float:
        """Return the square of the gradient's norm."""
        total = self.square
        for index, one in enumerate(self.pairs):
            for other_index, other in enumerate(self.pairs[: index + 1]):
                total += (2 - (index == other_index)) * _inner(one, other)
        return total


def _inner(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> float:
    """Return ⟨rowsᵀ columns, rows′ᵀ columns′⟩ of two uses."""
    return float((_rows_product(one[0], other[0]) * (one[1].double() @ other[1].double().T)).sum())


def _rows_product(one: Tensor, other: Tensor) -> Tensor:
    if one.ndim == 1 and other.ndim == 1:
        return (one[:, None] == other).double()
    if one.ndim == 1:
        return other.double()[:, one].T
    return one.double()[:, other] if other.ndim == 1 else (gram(one) if one is other else one.double() @ other.double().T)
