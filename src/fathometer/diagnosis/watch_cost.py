"""What watching costs, measured as it goes, and held to a budget."""

from collections import deque
from dataclasses import dataclass
from statistics import median

from fathometer.errors import SpecError, shown
from fathometer.instruments.recorder_schedule import Schedule, fewest_steps_between

KEPT, FEWEST = 15, 3  # durations of steps of either kind
WARM_UP = 4  # steps that are left alone before the first budget is known


@dataclass(frozen=True)
class Cost:
    """What watching has cost: seconds of a plain step, of what a measured one takes on top, and the share of all time."""

    step_seconds: float | None
    price_seconds: float | None
    measured: int
    steps: int

    @property
    def share(self) -> float | None:
        """Return the part of all time that measuring has taken; None while it is not known."""
        if self.step_seconds is None or self.price_seconds is None or not self.steps:
            return None
        extra = self.measured * self.price_seconds
        return extra / (self.steps * self.step_seconds + extra)

    def __str__(self) -> str:
        if self.share is None or self.price_seconds is None or self.step_seconds is None:
            return f"{self.measured:,} of {self.steps:,} steps measured; the price is not known yet"
        price, times = self.price_seconds * 1e3, 1 + self.price_seconds / self.step_seconds
        counted = f"{self.measured:,} of {self.steps:,} steps measured"
        return f"{counted}, {price:.2g} ms more each (× {times:.3g}), {self.share:.2%} of all time"


class CostMeter:
    """Times steps, those that are measured and those that are not, and says when the next one may be measured.

    The first measured step, which looks for depth, does not count. Where every step is measured the price is not known.
    """

    def __init__(self, schedule: Schedule, budget: float | None) -> None:
        if budget is not None and not (isinstance(budget, float) and 0 < budget < 1):
            raise SpecError(f"`budget` is {shown(budget)}", "It is a share of all time, between 0 and 1", "Try budget=0.01")
        self.schedule, self.budget = schedule, budget
        self.measured, self.steps, self.last = 0, 0, 0
        self.pause = 1 if budget is None else WARM_UP
        self._plain, self._costly = deque[float](maxlen=KEPT), deque[float](maxlen=KEPT)

    def add(self, seconds: float | None, was_measured: bool) -> None:
        """Note how long a step took, from the end of the one before; None where that is not known."""
        self.steps += 1
        if was_measured:
            self.measured, self.last = self.measured + 1, self.steps
        if seconds is not None and (not was_measured or self.measured > 1):
            (self._costly if was_measured else self._plain).append(seconds)

    def add_to_last(self, seconds: float) -> None:
        """Note how long it took to read the measured step that was added last."""
        if self._costly and self.measured > 1:
            self._costly[-1] += seconds

    @property
    def cost(self) -> Cost:
        """Return what watching has cost so far."""
        plain = median(self._plain) if len(self._plain) >= FEWEST else None
        costly = median(self._costly) if len(self._costly) >= 1 else None
        price = None if plain is None or costly is None else max(costly - plain, 0.0)
        return Cost(plain, price, self.measured, self.steps)

    @property
    def needed(self) -> int:
        """Return how many steps the budget asks for between two measured ones, as far as is known here."""
        cost = self.cost
        if self.budget is None or cost.price_seconds is None or not cost.step_seconds:
            return self.pause
        return fewest_steps_between(cost.price_seconds, cost.step_seconds, self.budget)

    def is_due(self, step: int) -> bool:
        """Return whether a step is to be measured."""
        return self.schedule(step) and (self.last == 0 or step - self.last >= self.pause)
