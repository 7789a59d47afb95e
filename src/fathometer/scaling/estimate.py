"""A number with its interval, or with the reason why there is none."""

from dataclasses import dataclass
from typing import Any

import numpy as np

LEVEL = 0.9


@dataclass(frozen=True)
class Estimate:
    """A value and the interval in which it lies with probability `level`, as far as the data can say.

    `unknown` is the reason where the data do not identify the number: then the value is no answer.
    """

    value: float
    low: float
    high: float
    unknown: str | None = None
    level: float = LEVEL

    def __contains__(self, number: float | int) -> bool:
        return self.low <= number <= self.high

    def __str__(self) -> str:
        if self.unknown is not None:
            return f"not identified ({self.unknown})"
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dictionary; the value is None where it is not identified."""
        known = self.unknown is None
        words = {"value": self.value if known else None, "low": self.low, "high": self.high, "level": self.level}
        return words if known else {**words, "unknown": self.unknown}


def estimate(value: float, draws: np.ndarray, level: float = LEVEL, unknown: str | None = None) -> Estimate:
    """Return the estimate with the middle `level` of some draws as its interval."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(value), float(low), float(high), unknown, level)
