"""When a network stops to tell synonyms apart: the hierarchy in depth."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64
from scipy.stats import rankdata
from torch import Tensor, nn

from fathometer.data import Hierarchy, expand
from fathometer.data.hierarchy import one_hot
from fathometer.lenses.expected_layer import DRAWS, INTERVAL
from fathometer.lenses.representations import represent

PAIRS = 1024
BATCH_SIZE = 256


@dataclass(frozen=True, eq=False)
class Synonyms:
    """How much of a layer changes when all tuples of a level are written with other synonyms, over what any two inputs differ by.

    `sensitivity[level]` counts levels from the lowest. `depth` is, for each level, the first point where its sensitivity is under
    half of what it is in the input; the number of points, if that is nowhere. `rank_correlation` is that of levels and depths: 1
    if they are in order, with a bootstrap interval over the inputs.
    """

    points: tuple[str, ...]
    sensitivity: Float64[np.ndarray, "level point"]
    depth: tuple[float, ...]
    rank_correlation: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists."""
        numbers = {name: getattr(self, name) for name in ("rank_correlation", "low", "high")}
        rows = [[float(value) for value in row] for row in self.sensitivity]
        return {"points": list(self.points), "sensitivity": rows, "depth": list(self.depth), **numbers}


def synonym_sensitivity(
    model: nn.Module,
    rules: Hierarchy,
    *,
    form: str = "flat",
    pairs: int = PAIRS,
    layers: Iterable[str] | None = None,
    seed: int = 0,
) -> Synonyms:
    """Return what each layer still tells apart of inputs that mean the same up to a level of a Random Hierarchy Model.

    At level k, E|f(x) - f(x')|² / E|f(x) - f(z)|², where x' has another synonym wherever a symbol of level k + 1 was written as a
    tuple of level k, and z is any other input; `form` is how the model takes its inputs. A layer that holds the symbols above
    level k alone has 0. Cagnetta et al. 2024.
    """
    draw = np.random.default_rng((seed, 2))
    targets = draw.integers(rules.classes, size=pairs)
    choices = draw.integers(rules.synonyms, size=(pairs, rules.num_choices))
    written = [choices, *(other_synonyms(rules, choices, level, draw) for level in range(len(rules.rules)))]
    texts = [expand(rules, targets, chosen)[-1] for chosen in written]
    inputs = _as_inputs(np.concatenate(texts), rules, form)
    found = represent(model, inputs.split(BATCH_SIZE), layers=layers, max_features=2**20)
    parts = [array.reshape(len(texts), pairs, -1) for array in found.arrays]
    changes = np.stack([((part[1:] - part[:1]) ** 2).sum(2) for part in parts], axis=2)
    apart = np.stack([((part[0] - part[0][draw.permutation(pairs)]) ** 2).sum(1) for part in parts], axis=1)
    return _summary(found.points, changes.astype(np.float64), apart.astype(np.float64), draw)


def other_synonyms(rules: Hierarchy, choices: Int64[np.ndarray, "sample choice"], level: int, draw: np.random.Generator) -> Any:
    """Return the choices with another synonym for every tuple of a level, counted from the lowest; the rest stays."""
    first = sum(rules.branching**above for above in range(len(rules.rules) - 1 - level))
    there = slice(first, first + rules.branching ** (len(rules.rules) - 1 - level))
    changed = choices.copy()
    steps = draw.integers(1, max(rules.synonyms, 2), size=changed[:, there].shape)
    changed[:, there] = (changed[:, there] + steps) % rules.synonyms
    return changed


def _as_inputs(text: Int64[np.ndarray, "sample position"], rules: Hierarchy, form: str) -> Tensor:
    tokens = torch.from_numpy(text)
    return tokens if form == "tokens" else one_hot(tokens, rules.symbols)


def _summary(points: tuple[str, ...], changes: Any, apart: Any, draw: np.random.Generator) -> Synonyms:
    """Return the ratio of means, and from pairs drawn again the interval of the rank correlation."""
    sensitivity = changes.mean(1) / np.maximum(apart.mean(0), np.finfo(float).tiny)
    count = len(apart)
    weights = draw.multinomial(count, np.full(count, 1 / count), size=DRAWS).astype(float)
    again = np.einsum("dn,lnp->dlp", weights, changes) / np.maximum(weights @ apart, np.finfo(float).tiny)[:, None]
    correlations = [_rank_correlation(_depths(one)) for one in again]
    low, high = (float(end) for end in np.percentile(correlations, INTERVAL))
    depths = _depths(sensitivity)
    return Synonyms(points, sensitivity, tuple(map(float, depths)), _rank_correlation(depths), low, high)


def _depths(sensitivity: Float64[np.ndarray, "level point"]) -> Float64[np.ndarray, " level"]:
    """Return the first point at which each level's sensitivity is under half of what it is in the input; if none, their number.

    Whole points only: what falls between the same two layers falls together.
    """
    is_under = sensitivity < sensitivity[:, :1] / 2
    return np.where(is_under.any(1), is_under.argmax(1), sensitivity.shape[1]).astype(float)


def _rank_correlation(depths: Any) -> float:
    """Return Spearman's rank correlation of levels and depths; 0 where all depths are the same."""
    ranks = rankdata(depths)
    if np.ptp(ranks) == 0:
        return 0.0
    return float(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1])
