"""What it takes to fit a law of scaling to as many runs as the largest public set has."""

from time import process_time
from typing import Any

import numpy as np

from fathometer.scaling import fit_law

POINTS, STARTS, RESAMPLES, LIMIT = 245, 500, 400, 5.0


def law_fit() -> list[dict[str, Any]]:
    """Return the processor seconds of a fit to planted losses, with the least resamples and with all."""
    return [_row(resamples) for resamples in (20, RESAMPLES)]


def _row(resamples: int) -> dict[str, Any]:
    runs = _planted()
    start = process_time()
    law = fit_law(runs, starts=STARTS, resamples=resamples)
    seconds = process_time() - start
    found = {name: round(law.numbers[name].value, 4) for name in ("E", "α", "β")}
    sizes = {"points": POINTS, "starts": STARTS, "resamples": resamples}
    return {**sizes, "seconds": round(seconds, 2), "limit": LIMIT, **found}


def _planted() -> dict[str, list[float]]:
    """Return runs of a planted law, E 1.8, A 480, B 2,100, α .35, β .37, with half a percent of noise."""
    generator = np.random.default_rng(0)
    parameters, tokens = np.exp(generator.uniform(np.log([[1e7], [1e9]]), np.log([[1e10], [1e12]]), (2, POINTS)))
    losses = (1.8 + 480 / parameters**0.35 + 2100 / tokens**0.37) * np.exp(generator.normal(0, 5e-3, POINTS))
    return {"parameters": parameters.tolist(), "tokens": tokens.tolist(), "loss": losses.tolist()}
