"""A law with its draws: what it predicts, and what it leaves open."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fathometer import json_text
from fathometer.errors import SpecError
from fathometer.scaling.estimate import LEVEL, Estimate, estimate
from fathometer.scaling.forms import Columns, Form, design

SCHEMA = "fathometer.law/1"
NOTHING = 0.01  # of the loss: a floor below that is none
# An interval whose upper end is this many times its lower one leaves a number open: E, what multiplies a power, an exponent.
OPEN = {"constant": 2.0, "coefficient": 1e4, "exponent": 6.0}


@dataclass(frozen=True)
class Law:
    """A law of scaling: its numbers, and draws of them that say how well they are known (one row each; none: not known).

    `theta` and `draws` hold constants as logarithms. `residuals` are those of log-loss at the points that it was fitted to,
    `objective` Huber's loss summed over them; `source` says where the numbers are from. `predict`, `exponents` and, for a law
    of parameters and tokens, `optimum` give estimates.
    """

    form: Form
    theta: tuple[float, ...]
    draws: np.ndarray = field(repr=False)
    source: str = ""
    objective: float | None = None
    residuals: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def numbers(self) -> dict[str, Estimate]:
        """Return every number of the formula with its interval, or the reason why it is not identified."""
        return {symbol: self._number(place) for place, symbol in enumerate(self.form.symbols)}

    @property
    def open(self) -> dict[str, str]:
        """Return the numbers that the data do not identify, each with the reason."""
        return {symbol: number.unknown for symbol, number in self.numbers.items() if number.unknown is not None}

    def predict(self, *, observed: bool = False, level: float = LEVEL, **sizes: float | int) -> Estimate:
        """Return the loss at some sizes, such as `parameters=1e9, tokens=2e10`.

        The interval is that of the law; with `observed` that of one run's loss, whose own scatter is drawn from the residuals.
        Raises `SpecError` where a size is missing or cannot be.
        """
        at = self._at(sizes)
        logs = self.log_loss(at)[:, 0]
        spread = logs[1:] if len(logs) > 1 else logs
        if observed and len(self.residuals):
            own = self.residuals * (len(self.residuals) / max(1, len(self.residuals) - len(self.theta))) ** 0.5
            spread = spread + np.random.default_rng(0).choice(own, len(spread))
        return estimate(float(np.exp(logs[0])), np.exp(spread), level)

    def log_loss(self, columns: Columns) -> np.ndarray:
        """Return the log-loss of the law (first row) and of each draw at each point."""
        return design(self.form, columns).log_loss(np.vstack([np.array([self.theta]), self.draws]))[0]

    def is_inside(self, **sizes: float | int) -> bool:
        """Return whether sizes lie within the ranges that the law was fitted to."""
        return all(low <= sizes[name] <= high for name, (low, high) in self.ranges.items() if name in sizes)

    def to_json(self) -> str:
        """Return the law as JSON text: form, numbers with intervals, and where they are from."""
        words = {"schema": SCHEMA, "form": self.form.name, "formula": self.form.formula, "source": self.source}
        numbers = {symbol: number.to_dict() for symbol, number in self.numbers.items()}
        ranges = {name: list(ends) for name, ends in self.ranges.items()}
        extra = {"objective": self.objective, "points": len(self.residuals), "ranges": ranges}
        return json_text.dump({**words, "numbers": numbers, **extra})

    def __str__(self) -> str:
        lines = [f"{self.form.formula}   ({self.source})"]
        lines += [f"  {symbol} = {number}" for symbol, number in self.numbers.items()]
        return "\n".join(lines)

    def _at(self, sizes: Mapping[str, float | int]) -> dict[str, np.ndarray]:
        missing = [name for name in self.form.columns if name not in sizes]
        wrong = [f"{name} = {value}" for name, value in sizes.items() if not (np.isfinite(value) and value > 0)]
        extra = [name for name in sizes if name not in self.form.columns]
        if missing or wrong or extra:
            raise SpecError(
                f"The sizes are {', '.join(f'{name} = {value}' for name, value in sizes.items()) or 'none'}",
                f"This law takes {' and '.join(self.form.columns)}, each above 0",
                f"Try predict({', '.join(f'{name}=1e9' for name in self.form.columns)})",
            )
        return {name: np.array([float(value)]) for name, value in sizes.items()}

    def _number(self, place: int) -> Estimate:
        told = self.form.told(np.vstack([np.array([self.theta]), self.draws]))[:, place]
        found = estimate(float(told[0]), told[1:] if len(told) > 1 else told)
        kind = _kind(self.form, place)
        is_nothing = kind == "constant" and found.value < NOTHING * self._typical()
        why = "the data do without it" if is_nothing else _why_open(found, kind)
        return Estimate(found.value, found.low, found.high, why, found.level)

    def _typical(self) -> float:
        """Return the loss in the middle of the sizes that the law was fitted to; 0 where they are not known."""
        if set(self.ranges) != set(self.form.columns):
            return 0.0
        middle = {name: np.array([(low * high) ** 0.5]) for name, (low, high) in self.ranges.items()}
        return float(np.exp(design(self.form, middle).log_loss(np.array([self.theta]))[0][0, 0]))


def _kind(form: Form, place: int) -> str:
    if place >= len(form.unknowns) or form.unknowns[place].column is not None:
        return "exponent"
    has_power = any(unknown.column is not None for unknown in form.unknowns if unknown.term == form.unknowns[place].term)
    return "coefficient" if has_power or form.unknowns[place].term in form.fixed else "constant"


def _why_open(found: Estimate, kind: str) -> str | None:
    if found.low > 0 and found.high <= OPEN[kind] * found.low:
        return None
    return f"the data allow {found.low:.3g} to {found.high:.3g}"
