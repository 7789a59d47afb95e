"""The learning rate over a run: warm-up, then constant or cosine."""

from collections.abc import Callable
from math import cos, pi

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from fathometer.errors import unknown_name
from fathometer.records import Asked

# The share of the rate at `progress` from 0 (end of the warm-up) to 1 (end of the run).
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "cosine": lambda progress: (1 + cos(pi * progress)) / 2,
}


def rate_multiplier(step: int, asked: Asked) -> float:
    """Return the number that multiplies the learning rate at a step, counted from 0.

    During the warm-up it rises in equal parts and reaches 1 with the last of its steps.

    >>> [rate_multiplier(step, Asked(warmup=4)) for step in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """
    if asked.schedule not in SCHEDULES:
        raise unknown_name("schedule", asked.schedule, SCHEDULES)
    if step < asked.warmup:
        return (step + 1) / asked.warmup
    progress = (step - asked.warmup) / max(1, asked.steps - asked.warmup)
    return SCHEDULES[asked.schedule](min(1.0, progress))


def make_scheduler(optimizer: Optimizer, asked: Asked) -> LambdaLR:
    """Return torch's scheduler that follows `rate_multiplier`; step it once after each optimizer step."""
    return LambdaLR(optimizer, lambda step: rate_multiplier(step, asked))
