"""Fits to resampled data: how far a law's numbers could have been off."""

import numpy as np
from jaxtyping import Float

from fathometer.scaling.descent import Points, descend

WORLDS, OWN = 8, 60  # made-up data sets, and resamples of each, that say by how much resampling overstates the spread
MOST = 1.4  # that it is believed to overstate
LEVEL = (0.05, 0.95)

Fits = Float[np.ndarray, "_ number"]


def resample(points: Points, starts: Fits, members: np.ndarray | None, count: int, generator: np.random.Generator) -> Fits:
    """Return the fit to each of `count` resamples of the points; `starts` are the fit itself, and others to start from.

    Points are drawn with replacement, or whole runs where `members` says which run each is of. A fit near to a median is more
    at the mercy of single points in a resample than in new data, and its spread comes out too wide. By how much is measured in
    worlds made of the fit and its smoothed residuals, where the spread of fits to new data can be had; the draws are drawn
    together by that factor. Whole runs are not: there are few, and the factor would be a guess.
    """
    draws = _weighted(points, starts, _weights(points, members, count, generator))
    if members is not None:
        return draws
    return starts[0] + (draws - starts[0]) / overstated(points, starts[0], count, generator)


def overstated(points: Points, fit: np.ndarray, count: int, generator: np.random.Generator) -> float:
    """Return how many times as wide as the spread of fits to new data that of fits to resampled data is; at least 1."""
    curve = points.design.log_loss(fit[None])[0]
    made = curve + new_residuals(points.log_losses[0] - curve[0], len(fit), count, generator)
    fits, _ = descend(Points(points.design, made, points.delta, np.ones((1, made.shape[1]))), np.tile(fit, (count, 1)))
    truth = _width(fits)
    own = list[np.ndarray]()
    for world in range(min(WORLDS, count)):
        inside = Points(points.design, made[world : world + 1], points.delta, points.weights)
        own.append(_width(_weighted(inside, fits[world : world + 1], _weights(inside, None, OWN, generator))))
    ratios = np.mean(own, axis=0) / np.maximum(truth, 1e-12)
    return float(np.clip(np.median(ratios), 1.0, MOST))


def new_residuals(residuals: np.ndarray, unknowns: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """Return `count` sets of residuals drawn from these, widened by what the fit has taken of them, and smoothed (Silverman)."""
    size = len(residuals)
    centred = (residuals - np.median(residuals)) * (size / max(1, size - unknowns)) ** 0.5
    quartiles = float(np.subtract(*np.quantile(centred, [0.75, 0.25]))) / 1.34
    width = 1.06 * min(float(np.std(centred)), quartiles or np.inf) * size**-0.2
    return generator.choice(centred, (count, size)) + width * generator.standard_normal((count, size))


def _weights(points: Points, members: np.ndarray | None, count: int, generator: np.random.Generator) -> np.ndarray:
    """Return how often each point, or the run that it is of, was drawn in each resample."""
    size = points.log_losses.shape[1] if members is None else int(members.max()) + 1
    drawn = generator.multinomial(size, np.full(size, 1 / size), count).astype(float)
    return drawn if members is None else drawn[:, members]


def _weighted(points: Points, starts: Fits, weights: np.ndarray) -> Fits:
    """Return the best fit under each row of weights, from each of the starts."""
    count, tries = len(weights), len(starts)
    weighted = Points(points.design, points.log_losses, points.delta, np.repeat(weights, tries, 0))
    theta, values = descend(weighted, np.tile(starts, (count, 1)))
    return theta.reshape(count, tries, -1)[np.arange(count), values.reshape(count, tries).argmin(1)]


def _width(fits: Fits) -> np.ndarray:
    low, high = np.quantile(fits, LEVEL, axis=0)
    return high - low
