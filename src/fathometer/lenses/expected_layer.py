"""At which depth something is learned, with an interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

DRAWS = 1000
INTERVAL = (2.5, 97.5)  # percent
Relation = Literal["before", "not told apart", "after"]
Counts = Float64[np.ndarray, "point group"]


@dataclass(frozen=True)
class Expected:
    """The expected layer, counted from 0 (the input), and the ends of its 95% interval.

    `given` is what the input holds above guessing, `gain` what the layers add to that. Where they add nothing, the layer is 0
    if the input holds something, and all three are None if nothing is known at any depth.
    """

    layer: float | None
    low: float | None
    high: float | None
    gain: float
    given: float = 0.0
    draws: Float64[np.ndarray, " draw"] = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers."""
        return {name: getattr(self, name) for name in ("layer", "low", "high", "gain", "given")}


def expected_layer(
    right: Bool[np.ndarray, "point item"], groups: Int64[np.ndarray, " item"], chance: float, *, seed: int = 0
) -> Expected:
    """Return Σ l Δ(l) / Σ Δ(l), where Δ(l) is what layer l, from 1 on, adds to the best reading of the layers before it.

    A later layer is better where it reads more by over a standard error, so that layers that are as good do not take turns.
    `right` says which held-out items the probe of each point read right; items of one group (a sample) are drawn together in
    the bootstrap. The best layer up to l is chosen on one half of the groups and judged on the other, so that chance is
    not taken for gain. Tenney et al. 2019.
    """
    known, counts = _by_group(right, groups)
    draw = np.random.default_rng(seed)
    half = draw.permutation(counts.shape[0]) % 2 == 0
    weights = draw.multinomial(counts.shape[0], np.full(counts.shape[0], 1 / counts.shape[0]), size=DRAWS).astype(float)
    scores = _cross_fitted(known, counts, half, np.concatenate([np.ones((1, len(counts))), weights]))
    given, gains = scores[:, 0] - chance, np.diff(scores, axis=1)
    total = gains.sum(1)
    facts: dict[str, Any] = {"gain": float(total[0]), "given": float(given[0])}
    if not _is_above_zero(total[1:]):
        if _is_above_zero(given[1:]):
            return Expected(0.0, 0.0, 0.0, **facts, draws=np.zeros(DRAWS))
        return Expected(None, None, None, **facts)
    # What one layer adds may be below 0 by chance, and would draw the centre out of the network.
    layers = np.clip((gains * np.arange(1, scores.shape[1])).sum(1) / np.where(total > 0, total, 1), 0, gains.shape[1])
    draws = layers[1:][total[1:] > 0]
    low, high = np.percentile(draws, INTERVAL)
    return Expected(float(layers[0]), float(low), float(high), **facts, draws=draws)


def _is_above_zero(draws: Float64[np.ndarray, " draw"]) -> bool:
    return bool(np.percentile(draws, INTERVAL[0]) > 0)


def pooled(several: Sequence[Expected]) -> Expected:
    """Return the mean over networks (seeds), and the interval of all their draws together; unknown if any is unknown."""
    facts: dict[str, Any] = {name: float(np.mean([getattr(one, name) for one in several])) for name in ("gain", "given")}
    if any(one.layer is None for one in several):
        return Expected(None, None, None, **facts)
    draws = np.concatenate([one.draws for one in several])
    low, high = np.percentile(draws, INTERVAL)
    mean = float(np.mean([one.layer for one in several if one.layer is not None]))
    return Expected(mean, float(low), float(high), **facts, draws=draws)


def relation(one: Expected, other: Expected, *, seed: int = 0) -> Relation:
    """Return whether one comes before or after the other: the 95% interval of their difference leaves 0 out, or it does not."""
    if one.layer is None or other.layer is None:
        return "not told apart"
    draw = np.random.default_rng(seed)
    low, high = np.percentile(draw.choice(other.draws, 4 * DRAWS) - draw.choice(one.draws, 4 * DRAWS), INTERVAL)
    return "before" if low > 0 else "after" if high < 0 else "not told apart"


def order_of(levels: Mapping[str, Expected]) -> tuple[tuple[str, str, Relation], ...]:
    """Return, for each two neighbours in the order given, whether the first comes before the second."""
    return tuple((one, other, relation(levels[one], levels[other])) for one, other in pairwise(levels))


def _by_group(right: Any, groups: Any) -> tuple[Counts, Float64[np.ndarray, " group"]]:
    """Return, for each group, how many items each point read right, and how many there are."""
    _, numbers = np.unique(groups, return_inverse=True)
    count = int(numbers.max()) + 1
    known = np.stack([np.bincount(numbers, weights=row, minlength=count) for row in right.astype(float)])
    return known, np.bincount(numbers, minlength=count).astype(float)


def _cross_fitted(known: Counts, counts: Any, half: Any, weights: Any) -> Float64[np.ndarray, "draw point"]:
    """Return the accuracy of the best point up to each, chosen on one half of the groups and judged on the other."""
    both = []
    for chosen, judged in ((half, ~half), (~half, half)):
        choose, judge = (
            weights[:, part] @ known[:, part].T / np.maximum(weights[:, part] @ counts[part], 1)[:, None]
            for part in (chosen, judged)
        )
        both.append(np.take_along_axis(judge, _best_so_far(choose, (weights[:, chosen] @ counts[chosen])[:, None]), axis=1))
    return np.mean(both, axis=0)


def _best_so_far(
    scores: Float64[np.ndarray, "draw point"], items: Float64[np.ndarray, "draw 1"]
) -> Int64[np.ndarray, "draw point"]:
    """Return the best point up to each, where a later one must be better by a standard error of a share of so many items."""
    error = np.sqrt(scores * (1 - scores) / np.maximum(items, 1))
    best = np.zeros(scores.shape, dtype=np.int64)
    for place in range(1, scores.shape[1]):
        before = best[:, place - 1 : place]
        limit = np.take_along_axis(scores, before, axis=1) + error[:, place : place + 1]
        best[:, place] = np.where(scores[:, place : place + 1] > limit, place, before)[:, 0]
    return best
