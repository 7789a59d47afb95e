"""When to measure during training: every nth step, or log-spaced ones."""

from collections.abc import Callable
from math import ceil

from fathometer.errors import SpecError, kind_of, shown

Schedule = Callable[[int], bool]  # of a step, counted from 1: whether it is measured
PER_DECADE = 12


def every_nth(count: int) -> Schedule:
    """Return the schedule of the first step and every `count`-th one.

    >>> [step for step in range(1, 12) if every_nth(5)(step)]
    [1, 5, 10]
    """
    return lambda step: step == 1 or step % count == 0


def log_spaced(per_decade: int = PER_DECADE, most: int | None = None) -> Schedule:
    """Return a schedule that measures about `per_decade` steps in each decade, and never waits longer than `most` steps.

    >>> [step for step in range(1, 200) if log_spaced(4)(step)]
    [1, 2, 3, 6, 10, 18, 32, 57, 100, 178]
    """

    def is_measured(step: int) -> bool:
        exponent = 0
        while round(10 ** (exponent / per_decade)) < step:
            exponent += 1
        return round(10 ** (exponent / per_decade)) == step or (most is not None and step % most == 0)

    return is_measured


def schedule_of(every: int | str | Schedule) -> Schedule:
    """Return the schedule that a count, the word "log" or a function of the step stands for; raise `SpecError` otherwise."""
    if callable(every):
        return every
    if every == "log":
        return log_spaced()
    if isinstance(every, int) and not isinstance(every, bool) and every > 0:
        return every_nth(every)
    raise SpecError(
        f"`every` is {shown(every)} ({kind_of(every)})",
        'It is a number of steps, "log", or a function that tells for a step whether it is measured',
        "Try every=50",
    )


def fewest_steps_between(price_seconds: float, step_seconds: float, budget: float) -> int:
    """Return how many steps must lie from one measured step to the next, for measuring to take at most a share of all time.

    n steps with one measured take n × `step_seconds` + `price_seconds`; the share of the price in that is at most `budget`.

    >>> fewest_steps_between(price_seconds=0.004, step_seconds=0.01, budget=0.01)
    40
    """
    return max(1, ceil(price_seconds * (1 - budget) / (budget * step_seconds) - 1e-9))
