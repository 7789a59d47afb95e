"""What the depth points saw becomes numbers, many points at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fathometer.instruments.geometry import (
    correlation,
    effective_rank,
    kept_share,
    normalised_by_block,
    normalised_share,
    second_moment,
    shared_direction,
    spread,
)
from fathometer.instruments.many_points import (
    MAX_TOGETHER,
    effective_ranks,
    energies,
    may_join,
    normalised_shares,
    shared_directions,
    spreads,
)
from fathometer.instruments.sounded import Sounding

NORMALISED = 0.9  # from this share on the output of a block counts as normalised; without a norm it stays under 0.7
STREAM = 0.3  # a block that shares more with its input passes it on


@dataclass(frozen=True, eq=False)
class Seen:
    """What left a block: rows `(sample, unit)`, and those `before` it, of the same shape; some places `(place, unit)`.

    `floor` is that of the numbers' type; `whole` is the normalised share of whole samples, where they may have one.
    """

    index: int
    rows: Tensor
    floor: float
    before: Tensor | None = None
    places: Tensor | None = None
    whole: float | None = None


@dataclass(frozen=True)
class Numbers:
    """The numbers of one depth point; the last three are of what entered, where it has the same shape."""

    signal: float
    spread: float | None
    rank: float | None
    normalised: float | None = None
    shared: float | None = None
    size: float = 0.0
    added: float = 0.0


class Measurer:
    """Measures what was seen, in the order in which it was; what is small waits until it is worth the calls."""

    def __init__(self, sounding: Sounding) -> None:
        self.sounding = sounding
        self.waiting: list[Seen] = []
        self.gradients: list[tuple[int, Tensor, float]] = []

    def see(self, seen: Seen) -> None:
        """Take in what left a block."""
        if self.waiting and not _are_alike(self.waiting[-1], seen):
            self.settle()
        self.waiting.append(seen)
        if seen.rows.numel() * len(self.waiting) >= MAX_TOGETHER:
            self.settle()

    def see_gradient(self, index: int, rows: Tensor, unit: float) -> None:
        """Take in the rows of a gradient, in whose `unit` its second moment counts."""
        if self.gradients and not (self.gradients[-1][1].shape == rows.shape and may_join(rows)):
            self.settle()
        self.gradients.append((index, rows, unit))
        if rows.numel() * len(self.gradients) >= MAX_TOGETHER:
            self.settle()

    def settle(self) -> None:
        """Write the numbers of all that waits."""
        waiting, self.waiting = self.waiting, []
        gradients, self.gradients = self.gradients, []
        numbers = together(waiting) if len(waiting) > 1 else map(alone, waiting)
        for seen, found in zip(waiting, numbers, strict=True):
            self._write(seen, found)
        for index, size, alike in _of_gradients(gradients):
            self.sounding.put("gradient", index, size)
            self.sounding.put("gradient_correlation", index, alike)

    def _write(self, seen: Seen, found: Numbers) -> None:
        put, index = self.sounding.put, seen.index
        put("signal", index, found.signal)
        put("correlation", index, None if found.spread is None else 1 - found.spread)
        put("spread", index, found.spread)
        put("rank", index, found.rank)
        if seen.places is not None:
            put("normalised", index, found.normalised)
        self.sounding.put_worst("normalised", index, seen.whole)
        if seen.before is not None:
            put("shared", index, found.shared)
            if found.shared is not None and found.size > 0:
                put("branch_ratio", index, self._branch_ratio(seen, found))

    def _branch_ratio(self, seen: Seen, found: Numbers) -> float:
        """Return what is added over what was there: a norm behind the sum has shrunk the input that is in it."""
        assert seen.before is not None
        assert found.shared is not None
        ratio = (found.added / found.size) ** 0.5
        if found.shared > STREAM:
            known = self.sounding.columns.get("normalised")
            normalised = normalised_by_block(None if known is None else known[seen.index], ratio, seen.floor)
            self.sounding.put("normalised", seen.index, normalised)
            if normalised is not None and normalised > NORMALISED:
                before = seen.before
                return (second_moment(seen.rows / kept_share(before, seen.rows) - before) / found.size) ** 0.5
        return ratio


def alone(seen: Seen) -> Numbers:
    """Return the numbers of one point."""
    own = second_moment(seen.rows), spread(seen.rows, seen.floor), effective_rank(seen.rows, seen.floor)
    normalised = None if seen.places is None else normalised_share(seen.places.unsqueeze(0))
    if seen.before is None:
        return Numbers(*own, normalised)
    shared = shared_direction(seen.before, seen.rows)
    return Numbers(*own, normalised, shared, second_moment(seen.before), second_moment(seen.rows - seen.before))


def together(points: Sequence[Seen]) -> list[Numbers]:
    """Return the same numbers, to the last bit, of points that are alike."""
    rows, floors = torch.stack([seen.rows for seen in points]), [seen.floor for seen in points]
    sizes, count = energies(rows), points[0].rows.numel()
    columns: list[Sequence[float | None]] = [
        [size / count for size in sizes],
        spreads(rows, floors),
        effective_ranks(rows, sizes, floors),
    ]
    places, before = ([part for part in parts if part is not None] for parts in zip(*_parts(points), strict=True))
    columns.append(normalised_shares(torch.stack(places)) if places else [None] * len(points))
    if before:
        entered = torch.stack(before)
        columns.append(shared_directions(entered, rows))
        columns += [[size / count for size in energies(some)] for some in (entered, rows.sub_(entered))]
    return [Numbers(*numbers) for numbers in zip(*columns, strict=True)]  # pyrefly: ignore[bad-argument-type]


def _parts(points: Sequence[Seen]) -> list[tuple[Tensor | None, Tensor | None]]:
    return [(seen.places, seen.before) for seen in points]


def _are_alike(one: Seen, other: Seen) -> bool:
    """Return whether two points have the same parts of the same shapes, and sums that do not depend on their neighbours."""
    pairs = ((one.rows, other.rows), (one.places, other.places), (one.before, other.before))
    return all(_fit(*pair) for pair in pairs)


def _fit(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and may_join(one) and may_join(other)


def _of_gradients(gradients: Sequence[tuple[int, Tensor, float]]) -> list[tuple[int, float, float | None]]:
    """Return (index, second moment in its unit, correlation) of gradients of one shape."""
    if len(gradients) < 2:
        return [(index, second_moment(rows) / unit, correlation(rows)) for index, rows, unit in gradients]
    rows = torch.stack([own for _, own, _ in gradients])
    count, alike = rows[0].numel(), spreads(rows, [0.0] * len(rows))
    return [
        (index, size / count / unit, None if distance is None else 1 - distance)
        for (index, _, unit), size, distance in zip(gradients, energies(rows), alike, strict=True)
    ]
