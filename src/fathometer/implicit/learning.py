"""The first steps of training of weights that are never made."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

Pair = tuple[Tensor, Tensor]  # of a gradient rowsᵀ columns: rows `(vector, rows)` or numbers of rows `(vector,)`, and columns
TILES = {"cpu": 2**17}  # entries of an update of Adam that are there at once: within a cache it is three times as fast
TILE = 2**24  # on any other device


@dataclass(frozen=True)
class Rule:
    """How weights move: SGD, with momentum or without, or Adam, as torch has them, without weight decay.

    `rate` and `epsilon` are the network's; a matrix multiplies them with its own.
    """

    kind: Literal["sgd", "adam"] = "sgd"
    rate: float = 1e-2
    momentum: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8


@dataclass
class Learned:
    """All gradients that a matrix has had, step by step, as products of low rank, and what its weights have become by them.

    W at step t is W₀ + Δ. For SGD Δ = -Σ c gᵀ x is of low rank itself: nothing of the size of W is ever there. For Adam each
    entry of Δ is a function of the same entry of the products, so Δ is made some rows at a time, and forgotten again.
    """

    rule: Rule
    shape: tuple[int, int]
    rate_multiplier: float = 1.0
    epsilon_multiplier: float = 1.0
    gradients: list[list[Pair]] = field(default_factory=list)

    def add(self, pairs: list[Pair], scale: float) -> None:
        """Take one step with a gradient that was multiplied with `scale`."""
        self.gradients.append([(rows, columns / scale) for rows, columns in pairs])

    def product(self, x: Tensor, side: int) -> Tensor:
        """Return x Δᵀ (side 1) or x Δ (side 0)."""
        out = x.new_zeros(x.shape[0], self.shape[0] if side else self.shape[1])
        if self.rule.kind == "sgd":
            for coefficient, (rows, columns) in self._weighted():
                out += coefficient * (_times_rows(x @ columns.T, rows, self.shape[0]) if side else _onto_rows(x, rows) @ columns)
            return out
        for some, change in self._tiles(x):
            if side:
                out[:, some] = x @ change.T
            else:
                out.addmm_(x[:, some], change)
        return out

    def rows(self, ids: Tensor, like: Tensor) -> Tensor:
        """Return some rows of Δ."""
        if self.rule.kind == "sgd":
            out = like.new_zeros(len(ids), self.shape[1])
            for coefficient, (rows, columns) in self._weighted():
                part = (ids[:, None] == rows).to(columns) if rows.ndim == 1 else rows[:, ids].T
                out += coefficient * (part @ columns)
            return out
        return self._adam([[_pick(pair, ids) for pair in pairs] for pairs in self.gradients], len(ids), like)

    def _weighted(self) -> Iterator[tuple[float, Pair]]:
        """Yield each product of low rank with its part in Δ: -rate Σ momentumᵏ over the steps since."""
        for since, pairs in enumerate(reversed(self.gradients)):
            momentum = sum(self.rule.momentum**power for power in range(since + 1))
            yield from ((-self.rule.rate * self.rate_multiplier * momentum, pair) for pair in pairs)

    def _tiles(self, like: Tensor) -> Iterator[tuple[slice, Tensor]]:
        height = max(1, TILES.get(like.device.type, TILE) // self.shape[1])
        for start in range(0, self.shape[0], height):
            some = slice(start, min(start + height, self.shape[0]))
            parts = [[_cut(pair, some) for pair in pairs] for pairs in self.gradients]
            yield some, self._adam(parts, some.stop - some.start, like)

    def _adam(self, steps: list[list[Pair]], height: int, like: Tensor) -> Tensor:
        """Return Adam's sum of updates of these rows (Kingma & Ba 2015)."""
        change, mean, square = (like.new_zeros(height, self.shape[1]) for _ in range(3))
        first, second = self.rule.betas
        for step, pairs in enumerate(steps, 1):
            gradient = like.new_zeros(height, self.shape[1])
            for rows, columns in pairs:
                if rows.ndim == 1:
                    inside = (rows >= 0) & (rows < height)
                    gradient.index_add_(0, rows[inside], columns[inside].to(like))
                else:
                    gradient.addmm_(rows.T.to(like), columns.to(like))
            mean.lerp_(gradient, 1 - first)
            square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
            size = square.div(1 - second**step).sqrt_().add_(self.rule.epsilon * self.epsilon_multiplier)
            change.addcdiv_(mean, size, value=-self.rule.rate * self.rate_multiplier / (1 - first**step))
        return change


def _times_rows(weights: Tensor, rows: Tensor, count: int) -> Tensor:
    """Return weights × rows, `(vector, rows)`."""
    if rows.ndim > 1:
        return weights @ rows
    return weights.new_zeros(weights.shape[0], count).index_add_(1, rows, weights)


def _onto_rows(x: Tensor, rows: Tensor) -> Tensor:
    """Return x × rowsᵀ."""
    return x[:, rows] if rows.ndim == 1 else x @ rows.T


def _cut(pair: Pair, some: slice) -> Pair:
    rows, columns = pair
    return (rows - some.start, columns) if rows.ndim == 1 else (rows[:, some], columns)


def _pick(pair: Pair, ids: Tensor) -> Pair:
    """Return what a gradient is on some rows, which are all different."""
    rows, columns = pair
    return ((ids[:, None] == rows).to(columns).T, columns) if rows.ndim == 1 else (rows[:, ids], columns)
