"""What one measured step showed, by depth point and by tensor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, NamedTuple

from fathometer.depth_profile import COLUMNS, DepthProfile, Series
from fathometer.instruments.depth_points import DepthPoints
from fathometer.instruments.recorder_parameters import TensorSizes

# Columns of a reading that a profile does not have.
OWN_COLUMNS = {"headroom": "largest activation over the largest number of its type, where that is float16"}


@dataclass(frozen=True)
class Reading:
    """One measured step: columns by depth point, relative standard errors of the second moments, sizes of all tensors.

    Columns are those of a `DepthProfile` and of `OWN_COLUMNS`. `facts` are numbers of the whole network: `gradient_norm` of all
    weight matrices as the optimizer saw it (unscaled, after clipping), rate, batch size, seconds that measuring took.
    """

    step: int
    points: tuple[str, ...]
    columns: Mapping[str, Series]
    errors: Mapping[str, Series] = field(default_factory=dict)
    tensors: Mapping[str, TensorSizes] = field(default_factory=dict)
    facts: Mapping[str, float | int | str | None] = field(default_factory=dict)

    @property
    def profile(self) -> DepthProfile:
        """Return what the rules and the figures read."""
        columns = {name: series for name, series in self.columns.items() if name in COLUMNS}
        return DepthProfile("measured", self.points, columns, facts=self.facts)

    @property
    def is_finite(self) -> bool:
        """Return whether every number that was looked at is finite."""
        series = [value for name in ("signal", "gradient", "weight", "update") for value in self.columns.get(name, ())]
        norm = self.facts.get("gradient_norm")
        return all(value is None or isfinite(value) for value in [*series, norm if isinstance(norm, float) else None])

    def with_facts(self, **facts: float | int | str | None) -> "Reading":
        """Return the same with more facts."""
        return replace(self, facts={**self.facts, **facts})

    def to_row(self, detail: bool = False) -> dict[str, Any]:
        """Return plain dictionaries and lists of rounded numbers; with `detail` errors and all tensors as well."""
        columns = {name: [_short(value) for value in series] for name, series in self.columns.items()}
        row = {"step": self.step, "columns": columns, "facts": dict(self.facts)}
        if detail:
            row["errors"] = {name: [_short(value) for value in series] for name, series in self.errors.items()}
            row["tensors"] = {name: sizes._asdict() for name, sizes in self.tensors.items()}
        return row


def parameter_columns(points: DepthPoints, tensors: Mapping[str, TensorSizes]) -> tuple[dict[str, Series], dict[str, Series]]:
    """Return weights, their gradients (over the largest) and updates (over their weights) by depth point, and the errors."""
    rows = [_together([tensors[name] for name in names]) for names in points.held(tensors)]
    largest = max((row.gradient for row in rows if row.gradient is not None and isfinite(row.gradient)), default=None)
    columns: dict[str, Series] = {
        "weight": tuple(row.weight for row in rows),
        "weight_gradient": tuple(_over(row.gradient, largest) for row in rows),
        "update": tuple(_over(row.update, row.weight) for row in rows),
    }
    errors: dict[str, Series] = {
        "weight": tuple(row.weight_error for row in rows),
        "weight_gradient": tuple(row.gradient_error for row in rows),
    }
    return columns, errors


def gradient_norm(tensors: Mapping[str, TensorSizes]) -> float | None:
    """Return the length of the gradient of all weight matrices, from their samples."""
    squares = [sizes.numel * sizes.gradient**2 for sizes in tensors.values() if sizes.gradient is not None]
    return sum(squares) ** 0.5 if squares else None


class _Together(NamedTuple):
    """Root mean squares over all tensors of a point, and relative standard errors of the squares: tensors are sampled apart."""

    weight: float | None = None
    gradient: float | None = None
    update: float | None = None
    weight_error: float | None = None
    gradient_error: float | None = None


def _together(sizes: Sequence[TensorSizes]) -> _Together:
    if not sizes:
        return _Together()
    means = list[float | None]()
    for kind in ("weight", "gradient", "update"):
        known = [(one.numel, value) for one in sizes if (value := getattr(one, kind)) is not None]
        total = sum(count for count, _ in known)
        means.append((sum(count * value * value for count, value in known) / total) ** 0.5 if total else None)
    errors = list[float | None]()
    for kind in ("weight", "gradient"):
        parts = [(one.numel * getattr(one, kind) ** 2, getattr(one, f"{kind}_error")) for one in sizes if getattr(one, kind)]
        energy = sum(part for part, _ in parts)
        errors.append(sum((part * (error or 0.0)) ** 2 for part, error in parts) ** 0.5 / energy if energy else None)
    return _Together(*means, *errors)


def _over(number: float | None, base: float | None) -> float | None:
    return number / base if number is not None and base else None


def _short(value: float | None) -> float | None:
    return None if value is None or value != value else float(f"{value:.4g}")
