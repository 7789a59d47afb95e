"""The best learning rate of a sweep, between the rates that were tried."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from typing import Any

import numpy as np
from jaxtyping import Float

DRAWS = 400
REACH = 2  # rates to each side of the lowest that the parabola goes through: an octave, on a √2 grid
LEVEL = (0.05, 0.95)


@dataclass(frozen=True)
class Sweep:
    """Losses by rate and seed: `losses[seed, rate]`, at rising `rates` (as log2); what diverged has the loss of guessing."""

    rates: Float[np.ndarray, " rate"]
    losses: Float[np.ndarray, "seed rate"]

    @property
    def at_edge(self) -> bool:
        """Return whether the lowest mean loss is at an end of the grid: the best rate may lie beyond."""
        return int(self.losses.mean(0).argmin()) in (0, len(self.rates) - 1)

    def draws(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the best log2 rate and the mean loss curve, of all seeds (first) and of seeds drawn again.

        The residuals of the parabola are drawn again as well: three seeds alone have few ways to be drawn.
        """
        seeds = len(self.losses)
        picks = np.vstack([np.arange(seeds), generator.integers(0, seeds, (DRAWS, seeds))])
        curves = self.losses[picks].mean(1)
        window = self._window()
        residuals = curves[0][window] - _fitted(self.rates[window], curves[:1, window])[0]
        noise = generator.choice(residuals, (len(curves), len(window)))
        noise[0] = 0
        return _vertex(self.rates[window], curves[:, window] + noise), curves

    def _window(self) -> np.ndarray:
        lowest = int(self.losses.mean(0).argmin())
        first = min(max(0, lowest - REACH), max(0, len(self.rates) - 2 * REACH - 1))
        return np.arange(first, min(len(self.rates), first + 2 * REACH + 1))


def sweep_of(rows: Sequence[Mapping[str, Any]], score: str, worst: float) -> Sweep:
    """Return the sweep of rows with `rate`, `seed` and a score; `worst` is the loss of guessing, which none exceeds."""
    rates, seeds = sorted({row["rate"] for row in rows}), sorted({row["seed"] for row in rows})
    losses = np.full((len(seeds), len(rates)), worst)
    for row in rows:
        value = row[score]
        place = seeds.index(row["seed"]), rates.index(row["rate"])
        losses[place] = min(worst, value) if value is not None and np.isfinite(value) else worst
    return Sweep(np.array([log2(rate) for rate in rates]), losses)


def best_rate(sweep: Sweep, seed: int = 0) -> tuple[float, float, float]:
    """Return the best log2 rate of a sweep and the ends of its 90% interval."""
    return _ends(sweep.draws(np.random.default_rng(seed))[0])


@dataclass(frozen=True)
class Transferred:
    """What comes of taking the base's best rate to another shape: each with the middle and the ends of its 90% interval.

    `best` is the shape's own best log2 rate, `drift` how many octaves that lies above the base's, `regret` the loss that is
    lost by taking the base's, as a share of the shape's least.
    """

    best: tuple[float, float, float]
    drift: tuple[float, float, float]
    regret: tuple[float, float, float]
    at_edge: bool


def transferred(base: Sweep, own: Sweep, seed: int = 0) -> Transferred:
    """Return how far the best rate of a shape is from that of the base, and what taking the base's costs."""
    generator = np.random.default_rng(seed)
    base_best, _ = base.draws(generator)
    if own is base:
        zero = (0.0, 0.0, 0.0)
        return Transferred(_ends(base_best), zero, zero, base.at_edge)
    best, curves = own.draws(generator)
    taken = np.array([np.interp(at, own.rates, curve) for at, curve in zip(base_best, curves, strict=True)])
    least = np.array([np.interp(at, own.rates, curve) for at, curve in zip(best, curves, strict=True)])
    regret = np.maximum(0.0, taken / np.minimum(least, curves.min(1)) - 1)
    return Transferred(_ends(best), _ends(best - base_best), _ends(regret), own.at_edge)


def _fitted(rates: np.ndarray, curves: np.ndarray) -> np.ndarray:
    middle = rates - rates.mean()
    return np.polynomial.polynomial.polyval(middle, np.polynomial.polynomial.polyfit(middle, curves.T, min(2, len(rates) - 1)))


def _vertex(rates: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Return where the parabola through each curve is lowest, within the rates; the lowest rate tried where it has no lowest."""
    middle = rates - rates.mean()
    if len(rates) < 3:
        return rates[curves.argmin(1)]
    _, slope, bend = np.polynomial.polynomial.polyfit(middle, curves.T, 2)
    at = np.where(bend > 0, -slope / np.where(bend > 0, 2 * bend, 1.0), middle[curves.argmin(1)])
    return rates.mean() + np.clip(at, middle[0], middle[-1])


def _ends(draws: np.ndarray) -> tuple[float, float, float]:
    low, high = np.quantile(draws[1:], LEVEL)
    return float(draws[0]), float(low), float(high)
