"""The measured steps of a run so far, and which layer moved first."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray

from fathometer.instruments.recorder_reading import Reading

KEPT, PAST = 200, 50  # measured steps that are kept whole, and of which single numbers make the past
FEWEST = 4  # readings that a change is held against
# Log units that are noise of any run, by column: of weights always the same ones are looked at.
NOISE = {"weight": 0.03, "update": 0.15, "attention_logits": 0.1, "signal": 0.1, "gradient": 0.2}
MOVED = 4.0  # deviations from its own past at which a layer has moved
# What says of one layer alone that it has moved; of signal and gradient it is the step from layer to layer.
LOCAL = ("update", "weight", "attention_logits")
STEPS_ALONG = ("signal", "gradient")
Table = NDArray[np.float64]  # (reading, point)


@dataclass(frozen=True)
class Mover:
    """A layer that left its own past: where, from which step on, by which column, by how many deviations."""

    point: str
    step: int
    column: str
    deviations: float


class Trail:
    """The last readings of a run: whole, for the tables (reading, point), and in single numbers, for the rules."""

    def __init__(self, kept: int = KEPT) -> None:
        self.readings = deque[Reading](maxlen=kept)
        self._rows = deque[dict[str, Table]](maxlen=kept)  # columns of the readings as arrays, once they are asked for
        self.first: Reading | None = None
        self._series: dict[str, deque[float | None]] = {}
        self._firsts: dict[str, float] = {}

    def add(self, reading: Reading) -> None:
        """Add a measured step; one of other depth points begins the trail anew."""
        if self.readings and self.readings[-1].points != reading.points:
            self.readings.clear()
            self._rows.clear()
            self._series.clear()
            self._firsts.clear()
            self.first = None
        self.readings.append(reading)
        self._rows.append({})
        self.first = self.first or reading
        for name, value in summary(reading).items():
            self._series.setdefault(name, deque(maxlen=PAST)).append(value)
            if value is not None:
                self._firsts.setdefault(name, value)

    @property
    def points(self) -> tuple[str, ...]:
        """Return the names of the depth points."""
        return self.readings[-1].points if self.readings else ()

    def table(self, column: str, last: int | None = None) -> Table:
        """Return one column of the last readings; NaN where it is not known."""
        start = max(len(self.readings) - last, 0) if last else 0
        unknown = (None,) * len(self.points)
        for reading, row in zip(islice(self.readings, start, None), islice(self._rows, start, None), strict=True):
            if column not in row:
                row[column] = np.array(reading.columns.get(column, unknown), dtype=np.float64)  # None becomes NaN
        return np.array([row[column] for row in islice(self._rows, start, None)])

    def series(self, name: str) -> list[float]:
        """Return the known numbers of the last `PAST` readings; none, if it is not known of the last one."""
        kept = self._series.get(name, ())
        return [value for value in kept if value is not None] if kept and kept[-1] is not None else []

    def at_first(self, name: str) -> float | None:
        """Return the first known number of the run."""
        return self._firsts.get(name)


def summary(reading: Reading) -> dict[str, float | None]:
    """Return the single numbers of a reading that the rules follow over time."""
    columns, norm = reading.columns, reading.facts.get("gradient_norm")
    signal, gradient, spread = (columns.get(name, ()) for name in ("signal", "gradient", "spread"))
    return {
        "update": middle_of(columns.get("update", ())),
        "logits": extreme_of(columns.get("attention_logits", ())),
        "entropy": middle_of(columns.get("attention_entropy", ())),
        "headroom": extreme_of(columns.get("headroom", ())),
        "dead": extreme_of(columns.get("dead", ())),
        "signal": signal[-1] if signal else None,
        "spread": spread[-1] if spread else None,
        "gradient": gradient[0] if gradient else None,
        "norm": float(norm) if isinstance(norm, float) else None,
    }


def middle_of(series: Sequence[float | None]) -> float | None:
    """Return the middle of the known and finite numbers."""
    known = sorted(value for value in series if value is not None and isfinite(value))
    return known[len(known) // 2] if known else None


def extreme_of(series: Sequence[float | None]) -> float | None:
    """Return the largest of the known numbers."""
    return max((value for value in series if value is not None and value == value), default=None)


def first_movers(trail: Trail, most: int = 3) -> list[Mover]:
    """Return the layers that left their own past first, the strongest first among those of one step.

    Each layer has its own past in each column: the middle and the deviation (by quartiles, in logs) of its readings up to the
    one in question; it has moved once it is `MOVED` of these off, and stays so to the end. Of signal and gradient it is the
    step from one layer to the next that is looked at: a layer that doubles its signal moves, those behind it do not.
    """
    columns = [(name, _logs(trail.table(name))) for name in LOCAL]
    columns += [(name, _along(_logs(trail.table(name)), backwards=name == "gradient")) for name in STEPS_ALONG]
    steps = [reading.step for reading in trail.readings]
    found = list[tuple[int, float, Mover]]()
    for name, table in columns:
        if len(table) <= FEWEST:
            continue
        off = deviations(table, NOISE[name])
        for point in range(table.shape[1]):
            start = _lasting(off[:, point])
            if start is not None:
                size = float(np.nanmax(np.abs(off[start:, point])))
                found.append((start, -size, Mover(trail.points[point], steps[start], name, size)))
    return _each_once(sorted(found, key=lambda row: row[:2]), most)


def deviations(table: Table, noise: float) -> Table:
    """Return how far each number is from the middle of those before it in its column, over their deviation by quartiles.

    That is at least `noise`.
    """
    off = np.full_like(table, np.nan)
    with catch_warnings(), np.errstate(all="ignore"):
        simplefilter("ignore", RuntimeWarning)  # of columns in which nothing is known
        for row in range(FEWEST, len(table)):
            past = table[:row]
            middle = np.nanmedian(past, axis=0)
            spread = 1.4826 * np.nanmedian(np.abs(past - middle), axis=0)
            off[row] = (table[row] - middle) / np.maximum(spread, noise)
    return off


def _lasting(off: Table) -> int | None:
    """Return from which reading on a layer has moved, to the end; None if it has not."""
    moved = np.abs(np.nan_to_num(off, nan=0.0, posinf=1e9, neginf=-1e9)) >= MOVED
    if not moved[-1]:
        return None
    still = np.flatnonzero(~moved)
    return int(still[-1]) + 1 if len(still) else 0


def _logs(table: Table) -> Table:
    with np.errstate(all="ignore"):
        return np.log(np.where(table > 0, table, np.nan))


def _along(table: Table, backwards: bool) -> Table:
    """Return the step of each layer: its log less that of the layer before it; going back, of the layer behind it."""
    steps = table.copy()
    if table.ndim == 2 and table.shape[1] > 1:
        if backwards:
            steps[:, :-1] = table[:, :-1] - table[:, 1:]
            steps[:, -1] = 0.0
        else:
            steps[:, 1:] = table[:, 1:] - table[:, :-1]
    return steps


def _each_once(found: Sequence[tuple[int, float, Mover]], most: int) -> list[Mover]:
    named = dict[str, Mover]()
    for *_, mover in found:
        named.setdefault(mover.point, mover)
    return list(named.values())[:most]
