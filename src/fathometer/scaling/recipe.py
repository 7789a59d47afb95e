"""Batch and learning rate for a budget, by those who measured them."""

from dataclasses import dataclass
from math import exp, log

import numpy as np

FEWEST_STEPS = 500


@dataclass(frozen=True)
class Recipe:
    """What a source would set: tokens in a batch and the largest learning rate of Adam, for the standard parametrization."""

    name: str
    batch_tokens: float
    learning_rate: float
    source: str
    says: str


# Parameters, tokens in a batch and learning rate of Brown et al. 2020, table 2.1.
GPT3 = (
    (125e6, 5e5, 6e-4), (356e6, 5e5, 3e-4), (760e6, 5e5, 2.5e-4), (1.32e9, 1e6, 2e-4),
    (2.65e9, 1e6, 1.6e-4), (6.66e9, 2e6, 1.2e-4), (12.85e9, 2e6, 1e-4), (174.6e9, 3.2e6, 6e-5),
)  # fmt: skip


def recipes(flops: float, parameters: float, tokens: float, loss: float) -> tuple[Recipe, ...]:
    """Return what several sources would set; a plan takes the first. Batches are cut so that `FEWEST_STEPS` steps are left."""
    sizes = [log(size) for size, _, _ in GPT3]
    at = log(parameters)
    batch, rate = (exp(float(np.interp(at, sizes, [log(row[place]) for row in GPT3]))) for place in (1, 2))
    most = tokens / FEWEST_STEPS
    return (
        Recipe(
            "deepseek2024",
            min(most, 0.2920 * flops**0.3271),
            0.3118 * flops**-0.1250,
            "bi2024",
            "batch 0.292·C^0.327 tokens and rate 0.312·C^-0.125, fitted from 1e17 to 2e19 FLOP and used at 1e24",
        ),
        Recipe("gpt3", min(most, batch), rate, "brown2020", "between the rows of its table 2.1"),
        Recipe(
            "kaplan2020",
            min(most, 2.1e8 / loss**4.76),
            max(1e-5, 0.003239 - 0.0001395 * log(parameters)),
            "kaplan2020",
            "the critical batch 2.1e8 / loss^4.76, past which more samples a step buy little; rate 0.003239 - 0.0001395·log N",
        ),
    )
