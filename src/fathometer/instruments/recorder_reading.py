"""What one measured step showed, by depth point and by tensor."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fathometer.depth_profile import COLUMNS, DepthProfile, Series
from fathometer.instruments.depth_points import DepthPoints
from fathometer.instruments.recorder_parameters import KINDS, TensorTable

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
    """Which tensor lies in which depth point: pairs of (point, row of the table), with their numbers."""

    place: NDArray[np.intp]
    row: NDArray[np.intp]
    size: int
    numel: NDArray[np.float64]

    def sums(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return, for several quantities (quantity, pair), the sum over the pairs of each point."""
        places = (self.place + self.size * np.arange(len(rows))[:, None]).ravel()
        found = np.bincount(places, rows.ravel(), self.size * len(rows)).astype(np.float64)  # whole numbers where there are none
        return found.reshape(len(rows), self.size)


def homes_of(points: DepthPoints, numels: Mapping[str, int]) -> Homes:
    """Return where the tensors of a table lie, which is the same in every step."""
    listed = list(numels)
    held, rows = points.held(listed), {name: row for row, name in enumerate(listed)}
    place = np.array([index for index, inside in enumerate(held) for _ in inside], dtype=np.intp)
    row = np.array([rows[name] for inside in held for name in inside], dtype=np.intp)
    return Homes(place, row, len(held), np.array(list(numels.values()), dtype=np.float64)[row])


class Later(Mapping[str, Series]):
    """Columns that are counted when they are first asked for."""

    def __init__(self, count: Callable[[], dict[str, Series]]) -> None:
        self._count, self._found = count, dict[str, Series]()

    def _columns(self) -> dict[str, Series]:
        self._found = self._found or self._count()
        return self._found

    def __getitem__(self, name: str) -> Series:
        return self._columns()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns())

    def __len__(self) -> int:
        return len(self._columns())


def parameter_columns(homes: Homes, table: TensorTable) -> dict[str, Series]:
    """Return weights, their gradients (over the largest) and updates (over their weights) by depth point."""
    if not table.columns or not homes.size:
        return {}
    sizes = np.stack([table.columns[kind] for kind in KINDS])[:, homes.row]
    with np.errstate(all="ignore"):
        known = np.where(sizes == -1, 0.0, homes.numel)
        energies = known * sizes**2
        energy, total = homes.sums(energies), homes.sums(known)
        weight, gradient, update = np.where(total > 0, energy / total, -1.0)
        largest = np.max(gradient[np.isfinite(gradient)], initial=0.0)
        columns = {
            "weight": np.where(weight < 0, np.nan, np.sqrt(weight)),
            "weight_gradient": np.where((gradient < 0) | (largest == 0), np.nan, np.sqrt(gradient / largest)),
            "update": np.where((update < 0) | (weight <= 0), np.nan, np.sqrt(update / weight)),
        }
    return _series(columns)


def parameter_errors(homes: Homes, table: TensorTable) -> dict[str, Series]:
    """Return the relative errors of the squares of weights and their gradients by depth point: tensors are sampled apart."""
    if not table.columns or not homes.size:
        return {}
    sizes, errors = (np.stack([table.columns[f"{kind}{end}"] for kind in KINDS[:2]])[:, homes.row] for end in ("", "_error"))
    with np.errstate(all="ignore"):
        energies = homes.numel * sizes**2
        error = np.sqrt(homes.sums((energies * errors) ** 2)) / homes.sums(energies)
    return _series({"weight": error[0], "weight_gradient": error[1]})


def gradient_norm(table: TensorTable) -> float | None:
    """Return the length of the gradient of all weight matrices, from their samples."""
    if "gradient" not in table.columns or not len(table.numels):
        return None
    sizes = table.columns["gradient"]
    with np.errstate(all="ignore"):
        squares = np.array(list(table.numels.values()), dtype=np.float64) * sizes**2
    return None if (sizes == -1).all() else float(np.sqrt(squares[sizes != -1].sum()))


def _series(columns: Mapping[str, NDArray[np.float64]]) -> dict[str, Series]:
    return {name: _known(column) for name, column in columns.items()}


def _known(column: NDArray[np.float64]) -> Series:
    """Return numbers, None where they are NaN."""
    values = column.tolist()
    return tuple([None if value != value else value for value in values]) if np.isnan(column.sum()) else tuple(values)


def _short(value: float | None) -> float | None:
    return None if value is None or value != value else float(f"{value:.4g}")
