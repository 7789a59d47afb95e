"""Many fits at once: Huber's loss on log-loss, with exact slopes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fathometer.scaling.forms import Design

LONGEST = 2.0  # a step in any unknown: logarithms and exponents, so that no step leaves what floats can hold
DAMPING = (1e-3, 1e-9, 1e9)  # at the start, least and most
TINY = 1e-12
SETTLED = 1e-9  # relative gain in a step, below which a fit has come to rest


@dataclass(frozen=True)
class Points:
    """Log-losses at a design's points, with Huber's δ and weights: each `(fit, point)`, or `(1, point)` for all fits."""

    design: Design
    log_losses: np.ndarray
    delta: float
    weights: np.ndarray

    def objective(self, residuals: np.ndarray) -> np.ndarray:
        """Return Σ w·Huber_δ(r) of each fit: r²/2 up to δ, then δ(|r| - δ/2); the sum, not the mean."""
        size = np.abs(residuals)
        return (self.weights * np.where(size <= self.delta, 0.5 * size**2, self.delta * (size - 0.5 * self.delta))).sum(-1)

    def of(self, fits: np.ndarray) -> "Points":
        """Return what these of the fits are about."""
        each = [part[fits] if len(part) > 1 else part for part in (self.log_losses, self.weights)]
        return Points(self.design, each[0], self.delta, each[1])

    def at(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return objective, residuals, logarithms and shares of some fits."""
        logs, shares = self.design.log_loss(theta)
        residuals = logs - self.log_losses
        return self.objective(residuals), residuals, logs, shares


def descend(points: Points, theta: Float[np.ndarray, "fit number"], steps: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Return where fits come to rest from these starts, and their objectives; all go down side by side.

    Each step replaces Huber's loss with the parabola over it that touches at the present residual, whose weight is
    min(1, δ/|r|), and goes to that one's Levenberg–Marquardt step: the objective never rises. Fits that rest are set aside.
    """
    theta, values = theta.copy(), np.full(len(theta), np.inf)
    moving, damping = np.arange(len(theta)), np.full(len(theta), DAMPING[0])
    state = points.at(theta)
    values[:] = state[0]
    for _ in range(steps):
        step = _step(points, theta[moving], state, damping[moving])
        trial = theta[moving] + step
        after = points.at(trial)
        better = after[0] < values[moving]
        gain = np.where(better, values[moving] - after[0], 0.0)
        theta[moving[better]] = trial[better]
        resting = (gain <= SETTLED * values[moving]) & (better | (damping[moving] >= DAMPING[2] / 10))
        values[moving[better]] = after[0][better]
        damping[moving] = np.clip(np.where(better, damping[moving] / 4, damping[moving] * 8), *DAMPING[1:])
        state = tuple(_chosen(new, old, better) for new, old in zip(after, state, strict=True))
        if resting.any():
            moving, points = moving[~resting], points.of(~resting)
            state = tuple(_rows(part, ~resting) for part in state)
        if len(moving) == 0:
            break
    return theta, values


def _step(points: Points, theta: np.ndarray, state: tuple[np.ndarray, ...], damping: np.ndarray) -> np.ndarray:
    _, residuals, logs, shares = state
    slopes = points.design.slopes(theta, logs, shares)
    weighted = points.weights * np.minimum(1.0, points.delta / np.maximum(np.abs(residuals), TINY))
    curved = slopes * weighted[:, :, None]
    square = slopes.transpose(0, 2, 1) @ curved
    downhill = np.einsum("snp,sn->sp", curved, residuals)
    diagonal = np.einsum("spp->sp", square)
    identity = np.eye(square.shape[1])
    ridge = damping[:, None] * diagonal + TINY * (1 + diagonal.max(1, keepdims=True))
    step = -np.linalg.solve(square + ridge[:, :, None] * identity, downhill[:, :, None])[:, :, 0]
    longest = np.abs(step).max(1, keepdims=True)
    return step * np.minimum(1.0, LONGEST / np.maximum(longest, TINY))


def _chosen(new: np.ndarray, old: np.ndarray, better: np.ndarray) -> np.ndarray:
    """Return the new rows where a step was taken; shares have the term in front of the fit."""
    shape = (1, -1, 1) if new.ndim == 3 else (-1,) + (1,) * (new.ndim - 1)
    return np.where(better.reshape(shape), new, old)


def _rows(part: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return part[:, rows] if part.ndim == 3 else part[rows]


def polish(points: Points, theta: Float[np.ndarray, " number"]) -> tuple[np.ndarray, float]:
    """Return one fit brought to rest as exactly as floats allow, and its objective; never worse than it was."""
    from scipy.optimize import minimize

    def value_and_slope(at: np.ndarray) -> tuple[float, np.ndarray]:
        value, residuals, logs, shares = points.at(at[None])
        slopes = points.design.slopes(at[None], logs, shares)[0]
        inner = points.weights[0] * np.clip(residuals[0], -points.delta, points.delta)
        return float(value[0]) / points.delta**2, inner @ slopes / points.delta**2

    best, start = theta, value_and_slope(theta)[0]
    for method in ("BFGS", "L-BFGS-B"):
        found = minimize(value_and_slope, best, jac=True, method=method, options={"maxiter": 2000, "gtol": 1e-9})
        if found.fun < start:
            best, start = found.x, float(found.fun)
    return best, start * points.delta**2
