"""Batch and learning rate for a budget, by those who measured them."""

from dataclasses import dataclass
from math import log

from fathometer.scaling.gpt3 import between_gpt3

FEWEST_STEPS = 500


@dataclass(frozen=True)
class Recipe:
    """What a source would set: tokens in a batch and the largest learning rate of Adam, for the standard parametrization."""

    name: str
    batch_tokens: float
    learning_rate: float
    source: str
    says: str


def recipes(flops: float, parameters: float, tokens: float, loss: float) -> tuple[Recipe, ...]:
    """Return what several sources would set; a plan takes the first. Batches are cut so that `FEWEST_STEPS` steps are left."""
    most = tokens / FEWEST_STEPS
    return (
        Recipe(
            "deepseek2024",
            min(most, 0.2920 * flops**0.3271),
            0.3118 * flops**-0.1250,
            "Bi et al. 2024, DeepSeek LLM.",
            "batch 0.292·C^0.327 tokens and rate 0.312·C^-0.125, fitted from 1e17 to 2e19 FLOP and used at 1e24",
        ),
        Recipe(
            "gpt3",
            min(most, between_gpt3(parameters, lambda row: row.batch_tokens)),
            between_gpt3(parameters, lambda row: row.learning_rate),
            "Brown et al. 2020, Language models are few-shot learners, table 2.1.",
            "between the rows of its table 2.1",
        ),
        Recipe(
            "kaplan2020",
            min(most, 2.1e8 / loss**4.76),
            max(1e-5, 0.003239 - 0.0001395 * log(parameters)),
            "Kaplan et al. 2020, Scaling laws for neural language models.",
            "the critical batch 2.1e8 / loss^4.76, past which more samples a step buy little; rate 0.003239 - 0.0001395·log N",
        ),
    )
