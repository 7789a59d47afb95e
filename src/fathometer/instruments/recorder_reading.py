"""What one measured step showed, by depth point and by tensor."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fathometer.depth_profile import COLUMNS, DepthProfile, Series
from fathometer.instruments.depth_points import DepthPoints
from fathometer.instruments.recorder_parameters import TensorTable

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
    tensors: TensorTable = field(default_factory=lambda: TensorTable({}))
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

    def without_tensors(self) -> "Reading":
        """Return the same without the sizes of single tensors, which are many."""
        return replace(self, tensors=TensorTable({}), errors={})

    def to_row(self, detail: bool = False) -> dict[str, Any]:
        """Return plain dictionaries and lists of rounded numbers; with `detail` errors and all tensors as well."""
        columns = {name: [_short(value) for value in series] for name, series in self.columns.items()}
        row: dict[str, Any] = {"step": self.step, "columns": columns, "facts": dict(self.facts)}
        if detail:
            row["errors"] = {name: [_short(value) for value in series] for name, series in self.errors.items()}
            row["tensors"] = {name: self.tensors.row(name) for name in self.tensors.numels}
        return row


@dataclass(frozen=True, eq=False)
class Homes:
    """Which tensor lies in which depth point: pairs of (point, row of the table), and how many points there are."""

    place: NDArray[np.intp]
    row: NDArray[np.intp]
    size: int


def homes_of(points: DepthPoints, names: Iterable[str]) -> Homes:
    """Return where the tensors of a table lie, which is the same in every step."""
    listed = list(names)
    held, rows = points.held(listed), {name: row for row, name in enumerate(listed)}
    place = np.array([index for index, inside in enumerate(held) for _ in inside], dtype=np.intp)
    row = np.array([rows[name] for inside in held for name in inside], dtype=np.intp)
    return Homes(place, row, len(held))


def parameter_columns(homes: Homes, table: TensorTable) -> tuple[dict[str, Series], dict[str, Series]]:
    """Return weights, their gradients (over the largest) and updates (over their weights) by depth point, and the errors."""
    if not table.columns or not homes.size:
        return {}, {}
    place, row, size = homes.place, homes.row, homes.size
    numel = np.array(list(table.numels.values()), dtype=np.float64)[row]

    def mean_square(kind: str) -> NDArray[np.float64]:
        """Return the mean square over all tensors that lie in each point; -1 where there is none that is known."""
        sizes = table.columns[kind][row]
        known = np.where(sizes == -1, 0.0, numel)
        with np.errstate(all="ignore"):
            energy, total = (np.bincount(place, weights, size) for weights in (known * sizes**2, known))
            return np.where(total > 0, energy / total, -1.0)

    def error(kind: str) -> NDArray[np.float64]:
        """Return the relative error of that: tensors are sampled apart."""
        with np.errstate(all="ignore"):
            energy = numel * table.columns[kind][row] ** 2
            variance = np.bincount(place, (energy * table.columns[f"{kind}_error"][row]) ** 2, size)
            return np.sqrt(variance) / np.bincount(place, energy, size)

    with np.errstate(all="ignore"):
        weight, gradient, update = (mean_square(kind) for kind in ("weight", "gradient", "update"))
        largest = np.max(gradient[np.isfinite(gradient)], initial=0.0)
        columns = {
            "weight": np.where(weight < 0, np.nan, np.sqrt(weight)),
            "weight_gradient": np.where((gradient < 0) | (largest == 0), np.nan, np.sqrt(gradient / largest)),
            "update": np.where((update < 0) | (weight <= 0), np.nan, np.sqrt(update / weight)),
        }
    errors = {"weight": error("weight"), "weight_gradient": error("gradient")}
    return _series(columns), _series(errors)


def gradient_norm(table: TensorTable) -> float | None:
    """Return the length of the gradient of all weight matrices, from their samples."""
    if "gradient" not in table.columns or not len(table.numels):
        return None
    sizes = table.columns["gradient"]
    with np.errstate(all="ignore"):
        squares = np.array(list(table.numels.values()), dtype=np.float64) * sizes**2
    return None if (sizes == -1).all() else float(np.sqrt(squares[sizes != -1].sum()))


def _series(columns: Mapping[str, NDArray[np.float64]]) -> dict[str, Series]:
    return {name: tuple(None if value != value else value for value in column.tolist()) for name, column in columns.items()}


def _short(value: float | None) -> float | None:
    return None if value is None or value != value else float(f"{value:.4g}")
