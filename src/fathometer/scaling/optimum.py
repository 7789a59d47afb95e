"""How large, and on how much data? The least loss that a budget buys."""

from dataclasses import dataclass

import numpy as np

from fathometer.errors import SpecError, shown
from fathometer.scaling.costs import PETAFLOP_DAY
from fathometer.scaling.estimate import Estimate, estimate
from fathometer.scaling.forms import PARAMETERS_TOKENS
from fathometer.scaling.law import Law
from fathometer.scaling.published import KAPLAN_ADVICE, PUBLISHED

GRID = np.linspace(np.log(1e2), np.log(1e16), 500)  # of parameters
# R* of Muennighoff, Rush et al. 2023: after so many repetitions a token is worth 1/e of a new one, and after so many times the
# parameters that the new tokens call for, one more is.
REPEAT_WORTH, EXCESS_WORTH = 15.39, 5.31


@dataclass(frozen=True)
class Optimum:
    """The parameters, tokens and loss at which a budget buys the least loss, and tokens for each parameter."""

    parameters: Estimate
    tokens: Estimate
    tokens_per_parameter: Estimate
    loss: Estimate


def optimum(law: Law, flops: float, unique_tokens: float | None = None) -> Optimum:
    """Return where a law of parameters and tokens is least, under 6·N·D = `flops`.

    With `unique_tokens` the data are read again and again beyond that: D tokens of which U are new count as
    U + U·R*·(1 - exp(-(D/U - 1)/R*)), R* = 15.39, in a law that was made for new ones; and parameters beyond those that U
    tokens call for count likewise, with R* = 5.31 (Muennighoff, Rush et al. 2023).

    Raises `SpecError` for a law of other columns, and for a budget that is not a positive number.
    """
    check_budget("flops", flops)
    if unique_tokens is not None:
        check_budget("unique tokens", unique_tokens)
    if set(law.form.columns) != {"parameters", "tokens"}:
        raise SpecError(
            f"The law is one of {', '.join(law.form.columns)}",
            "A budget is spent on parameters and tokens",
            'Fit the form "parameters-tokens", or take a published law',
        )
    sizes = np.exp(GRID)
    logs = law.log_loss(effective(law, sizes, flops / (6 * sizes), unique_tokens))
    places, least = _lowest(logs)
    best = np.exp(places)
    spent = flops / (6 * best)

    def over(numbers: np.ndarray) -> Estimate:
        return estimate(float(numbers[0]), numbers[1:] if len(numbers) > 1 else numbers)

    return Optimum(over(best), over(spent), over(spent / best), over(np.exp(least)))


def effective(
    law: Law, parameters: np.ndarray | float, tokens: np.ndarray | float, unique_tokens: float | None
) -> dict[str, np.ndarray]:
    """Return the parameters and tokens that a law made for new tokens is to be asked about, where only so many are new."""
    sizes, read = np.asarray(parameters, dtype=float), np.asarray(tokens, dtype=float)
    if unique_tokens is None:
        return {"parameters": sizes, "tokens": read}
    called_for = _parameters_for(law, unique_tokens)
    worth = sizes if called_for is None else worth_of(sizes, called_for, EXCESS_WORTH)
    return {"parameters": worth, "tokens": worth_of(read, unique_tokens)}


def _parameters_for(law: Law, tokens: float) -> float | None:
    """Return the parameters that are best with so many new tokens: α A / N^α = β B / D^β; None for another form of law."""
    if law.form is not PARAMETERS_TOKENS:
        return None
    _, log_a, log_b, alpha, beta = law.theta
    return float(np.exp((np.log(alpha / beta) + log_a - log_b + beta * np.log(tokens)) / alpha))


def worth_of(tokens: np.ndarray | float | list[float], unique: float, worth: float = REPEAT_WORTH) -> np.ndarray:
    """Return how many new tokens are worth as much as these, of which `unique` are new and the rest repetitions.

    >>> worth_of([5e9, 1e10, 4e10], 1e10).round(-7).tolist()
    [5000000000.0, 10000000000.0, 37260000000.0]
    """
    repeats = np.maximum(np.asarray(tokens, dtype=float) / unique - 1, 0.0)
    return np.asarray(np.minimum(tokens, unique) + unique * worth * (1 - np.exp(-repeats / worth)))


def _lowest(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-parameters and log-loss of the lowest point of each row, between the places of the grid."""
    index = np.clip(logs.argmin(1), 1, len(GRID) - 2)
    rows = np.arange(len(logs))
    left, middle, right = (logs[rows, index + shift] for shift in (-1, 0, 1))
    bend = left - 2 * middle + right
    shift = np.where(bend > 0, 0.5 * (left - right) / np.where(bend > 0, bend, 1.0), 0.0).clip(-1, 1)
    return GRID[index] + shift * (GRID[1] - GRID[0]), middle - 0.25 * (left - right) * shift


def disagreement(flops: float) -> dict[str, tuple[float, float]]:
    """Return the parameters and tokens that each published law, and Kaplan's own advice, would spend a budget on.

    >>> {name: f"{tokens / parameters:.0f}" for name, (parameters, tokens) in disagreement(5.88e23).items()}["besiroglu2024"]
    '18'
    """
    found = {name: optimum(law, flops) for name, law in PUBLISHED.items() if name != "kaplan2020"}
    table = {name: (best.parameters.value, best.tokens.value) for name, best in found.items()}
    scale, exponent = KAPLAN_ADVICE
    advised = scale * (flops / PETAFLOP_DAY) ** exponent
    return {**table, "kaplan2020": (advised, flops / (6 * advised))}


def check_budget(name: str, value: float, most: float = 1e35, example: str = "1e21") -> None:
    """Raise `SpecError` for what is not a positive finite number of a size that can be meant."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not (0 < value < most):
        raise SpecError(f"The {name} are {shown(value)}", f"A budget is a number above 0 and below {most:g}", f"Try {example}")
