"""Attention at its start: a random mean, even where logits are small.

Queries and keys have weights of their own, so the logits are Gaussian and know nothing of the values. Two numbers say what
matters of them: how often two draws of one query meet, and how much of a gradient goes through the logits.

Letters: v variance of a query's logits over keys that are not alike, n number of places seen, a attention weight,
κ = E Σ a², E(n, v) = n κ ≥ 1 how much more often than by chance two draws meet, F = E Σ (a_s δ_sr - a_s a_r)² the squared size
of the softmax's Jacobian.

Dong et al. 2021, "Attention is not all you need"; Noci et al. 2022, "Signal propagation in transformers".
"""

from dataclasses import dataclass
from math import factorial

import numpy as np
from jaxtyping import Int

from fathometer.theory.gaussian import Z_WEIGHTS, Array, Z
from fathometer.theory.places import Kernel, Places, mean_pair

Groups = Int[np.ndarray, "..."]

LARGEST_VARIANCE = 200.0  # of logits: what is more counts as that
_VARIANCES = np.concatenate([[0.0], np.geomspace(0.02, LARGEST_VARIANCE, 24)])
_NODES = 300


@dataclass(frozen=True)
class Softmax:
    """E(n, v) and F(n, v) for each of `_VARIANCES` (rows) and each group of places."""

    meeting: Array
    flow: Array

    def meetings(self, variances: Array, groups: Groups) -> Array:
        """Return E for arrays of logit variances and groups."""
        return _between_rows(self.meeting, variances, groups)

    def flows(self, variances: Array, groups: Groups) -> Array:
        """Return F for arrays of logit variances and groups."""
        return _between_rows(self.flow, variances, groups)


def softmax_of(places: Places) -> Softmax:
    """Return E and F for the numbers of places that are seen here, exact for independent Gaussian logits.

    With w = exp(√v z) and S = Σ w, 1/S^k = ∫ u^(k-1) exp(-u S) du/(k-1)! turns each moment of a = w/S into one integral.
    """
    numbers = places.visible
    pairs = [_moments(numbers, variance) for variance in _VARIANCES]
    return Softmax(*(np.stack(rows) for rows in zip(*pairs, strict=True)))


def _moments(numbers: Array, variance: float) -> tuple[Array, Array]:
    if variance == 0:
        return np.ones_like(numbers), (numbers - 1) / numbers**2
    root = variance**0.5
    lowest = -np.log(numbers.max()) - min(variance / 2, 9 * root) - 6
    logs = np.linspace(lowest, 9 * root + 5, _NODES)
    products = np.exp(np.minimum(logs[:, None] + root * Z, 6.0))  # u w, and nothing is left of exp(-u w) beyond
    faded = np.exp(-products) * Z_WEIGHTS
    powers = [(products**k * faded).sum(axis=1) for k in range(5)]  # (u w)^k exp(-u w), averaged over one place
    rest = powers[0][:, None] ** (numbers - 1)  # of all others

    def whole(k: int, one: Array) -> Array:
        return numbers * np.trapezoid(one[:, None] * rest, logs, axis=0) / factorial(k - 1)

    second, third, fourth = (whole(k, powers[k]) for k in (2, 3, 4))
    twice = (numbers - 1) * whole(4, np.divide(powers[2] ** 2, powers[0], out=np.zeros(_NODES), where=powers[0] > 1e-300))
    return np.clip(second * numbers, 1.0, numbers), np.maximum(second - 2 * third + fourth + twice, 0.0)


def _between_rows(table: Array, variances: Array, groups: Groups) -> Array:
    row = np.interp(variances, _VARIANCES, np.arange(len(_VARIANCES)))
    lower = np.minimum(row.astype(int), len(_VARIANCES) - 2)
    above = row - lower
    return (1 - above) * table[lower, groups] + above * table[lower + 1, groups]


def look(values: Kernel, cosines: Kernel, variance: float, places: Places, softmax: Softmax) -> Kernel:
    """Return the kernel of Σ a x over the places seen; `cosines` are those of the vectors that queries and keys are made of.

    Two queries with cosine c meet as often as one does whose logits vary c times as much (exact at c = 0 and 1).
    """
    mean_same, mean_other = cosines.same @ places.shares, mean_pair(cosines, places)
    agreed = variance * np.maximum(mean_same - mean_other, 0.0)  # by row; what all keys share moves no attention
    one_place, two_places = _means(values, places)
    group = np.arange(len(places.sizes))
    smaller = np.minimum(group[:, None], group)
    larger = places.visible[np.maximum(group[:, None], group)]
    met_same = softmax.meetings(agreed[:, None] * np.maximum(cosines.same, 0.0), group) / places.visible
    met_pairs = softmax.meetings(agreed[:, None, None] * np.maximum(cosines.pairs, 0.0), smaller) / larger
    two_same = np.diagonal(two_places, axis1=-2, axis2=-1)
    return Kernel(
        met_same * one_place + (1 - met_same) * two_same,
        met_pairs * one_place[:, smaller] + (1 - met_pairs) * two_places,
    )


def _means(values: Kernel, places: Places) -> tuple[Array, Array]:
    # Means over the places that both of two places see: of one place (row, group of the earlier), and of two different ones.
    seen, visible = places.seen, places.visible
    one_place = values.same @ seen.T / visible
    within = np.diagonal(values.pairs, axis1=-2, axis2=-1) @ seen.T
    smaller = np.minimum(np.arange(len(visible))[:, None], np.arange(len(visible)))
    sums = seen @ values.pairs @ seen.T - within[:, smaller]
    counts = visible[:, None] * visible - visible[smaller]
    return one_place, np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)


def look_back(gradient: Kernel, cosines: Kernel, variance: float, places: Places, softmax: Softmax) -> Kernel:
    """Return the kernel of what comes back to the places: through the values, and through queries and keys.

    A place gets Σ a δ from all that look at it, and through the logits v F δ twice over: as a key that is looked at, and as a
    query. What comes through the logits is taken as new in every place.
    """
    apart = float(cosines.same[0] @ places.shares - mean_pair(cosines, places)[0])
    groups = np.arange(len(places.sizes))
    visible = places.visible
    lookers = places.seen.T * places.sizes / places.sizes[:, None]  # [i, j]: places of group j that look at one of group i
    weights = lookers / visible
    squares = softmax.meetings(np.full_like(visible, variance * apart), groups) / visible**2  # E a²
    two_pairs = weights @ gradient.pairs[0] @ weights.T
    own_pairs = np.diagonal(gradient.pairs[0])
    values = lookers @ (squares * gradient.same[0] - own_pairs / visible**2) + np.diagonal(two_pairs)
    through = variance * apart * softmax.flows(np.full_like(visible, variance * apart), groups) * gradient.same[0]
    as_key, as_query = lookers @ (through / visible), apart * through
    larger = np.maximum(groups[:, None], groups)
    once = lookers @ ((gradient.same[0] - own_pairs) / visible**2)
    return Kernel((values + as_key + as_query)[None], (two_pairs + once[larger])[None])
