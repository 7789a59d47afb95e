"""The learning rate over a run: warm-up, then constant, cosine or WSD."""

from collections.abc import Callable
from math import cos, pi

from torch.optim import Optimizer

from fathometer.errors import look_up
from fathometer.records import Asked

# How much of the fall is still ahead at `progress`, from 0 (end of the warm-up) to 1 (end of the run); `decay` is its share.
SCHEDULES: dict[str, Callable[[float, float], float]] = {
    "constant": lambda progress, decay: 1.0,
    "cosine": lambda progress, decay: (1 + cos(pi * progress)) / 2,
    "wsd": lambda progress, decay: min(1.0, (1 - progress) / decay) if decay else 1.0,
}


def rate_multiplier(step: int, asked: Asked) -> float:
    """Return the number that multiplies the learning rate at a step, counted from 0.

    During the warm-up it rises in equal parts and reaches 1 with the last of its steps. "wsd" (warm-up, stable, decay; Hu et
    al. 2024) falls in equal parts over the last `decay * steps` steps.

    >>> [rate_multiplier(step, Asked(warmup=4)) for step in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """
    schedule = look_up("schedule", asked.schedule, SCHEDULES)
    if step < asked.warmup:
        return (step + 1) / asked.warmup
    after = max(1, asked.steps - asked.warmup)
    progress = min(1.0, (step - asked.warmup) / after)
    ahead = schedule(progress, min(1.0, asked.decay * asked.steps / after))
    return asked.final_rate + (1 - asked.final_rate) * ahead


def set_rates(optimizer: Optimizer, step: int, asked: Asked) -> None:
    """Give every group of an optimizer its rate at a step, counted from 0: its first one times `rate_multiplier`."""
    multiplier = rate_multiplier(step, asked)
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * multiplier
