"""What a law is fitted to: columns out of rows, tables or records."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from fathometer.errors import DataError
from fathometer.records import Record
from fathometer.scaling.costs import num_parameters
from fathometer.scaling.forms import Form
from fathometer.spec import Transformer, spec_from_dict

Column = Float[np.ndarray, " point"]
LOSS = "loss"


def read_points(records: Any, form: Form, named: Mapping[str, str] | None = None) -> dict[str, Column]:
    """Return the form's columns and the loss, checked; see `fit_law` for what `records` may be and `named` says.

    Raises `DataError` where a column is missing, a number is not finite or not positive, a column never changes, or there are
    fewer points than unknowns and one more.
    """
    wanted = (*form.columns, LOSS)
    rows = _table(records)
    names = {column: (named or {}).get(column, column) for column in wanted}
    found = {column: _column(rows, column, names[column]) for column in wanted}
    _check_count(len(found[LOSS]), form)
    for column in form.columns:
        _check_moves(found[column], names[column], form)
    return found


def read_groups(records: Any, name: str, size: int) -> np.ndarray:
    """Return which run each point belongs to, numbered from 0."""
    rows = _table(records)
    if any(name not in row for row in rows):
        raise _missing(name, rows)
    groups = np.unique([str(row[name]) for row in rows], return_inverse=True)[1]
    if len(np.unique(groups)) < 3:
        raise DataError(
            f'"{name}" tells {len(np.unique(groups))} runs apart',
            "An interval over runs needs at least 3 of them",
            "Leave `groups` out, or name the column that tells the runs apart",
        )
    return groups.reshape(size)


def row_of(record: Record) -> dict[str, float]:
    """Return the point that a record of a trained spec is: parameters, tokens, width, depth and held-out loss.

    Tokens are samples times the context, for a transformer. Where nothing was held out the loss is the mean of the last 20 steps.
    """
    spec = spec_from_dict(record.network)
    samples = len(record.losses) * record.asked.batch_size
    tail = record.losses[-20:]
    loss = record.held_out_loss if record.held_out_loss is not None else sum(tail) / max(1, len(tail))
    return {
        "parameters": float(num_parameters(spec)),
        "tokens": float(samples * (spec.context if isinstance(spec, Transformer) else 1)),
        "width": float(getattr(spec, "width", 0)),
        "depth": float(spec.depth),
        LOSS: loss if record.status == "finished" else float("nan"),
    }


def _table(records: Any) -> Sequence[Mapping[str, Any]]:
    if hasattr(records, "to_dict") and hasattr(records, "columns"):  # a pandas DataFrame, which is not imported for that
        records = records.to_dict("list")
    if isinstance(records, Mapping):
        columns = {str(name): list(values) for name, values in records.items()}
        lengths = {len(values) for values in columns.values()}
        if len(lengths) > 1:
            raise DataError(f"The columns have {sorted(lengths)} points", "All have as many", "Give each point a place in each")
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if not isinstance(records, Iterable) or isinstance(records, str | bytes):
        raise DataError(f"The points are a {type(records).__name__}", "They are rows, columns or records", "Give a list of dicts")
    return [row_of(row) if isinstance(row, Record) else _mapping(row) for row in records]


def _mapping(row: Any) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise DataError(
            f"A point is a {type(row).__name__}",
            "A point is a dict or a record",
            'Try {"parameters": 1e8, "tokens": 2e9, "loss": 3.1}',
        )
    return row


def _column(rows: Sequence[Mapping[str, Any]], column: str, name: str) -> Column:
    values = list[float]()
    for place, row in enumerate(rows):
        if name not in row:
            raise _missing(name, rows)
        values.append(_number(row[name], place, name))
    found = np.array(values, dtype=float)
    for place in np.flatnonzero(~(np.isfinite(found) & (found > 0)))[:1]:
        raise DataError(
            f"`{name}` of point {place} is {found[place]:g}",
            f"The {column} of a run is a finite number above 0" + (", whose logarithm is fitted" if column == LOSS else ""),
            "Leave that point out: a run that diverged says nothing of the law" if column == LOSS else "Count it again",
        )
    return found


def _number(value: Any, place: int, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DataError(f"`{name}` of point {place} is {value!r:.60}", "It must be a number", "Leave that point out") from None


def _missing(name: str, rows: Sequence[Mapping[str, Any]]) -> DataError:
    known = ", ".join(map(str, rows[0])) if rows else "none"
    return DataError(
        f"The points have no `{name}`; they have: {known}",
        "Each point has every column",
        f'Say which it is: columns={{"{name}": "…"}}',
    )


def _check_count(count: int, form: Form) -> None:
    need = len(form.symbols) + 1
    if count < need:
        raise DataError(
            f"There {'is 1 point' if count == 1 else f'are {count} points'} for a law with {len(form.symbols)} unknowns",
            f"It takes at least {need}, and several times as many for an interval that means something",
            "Train more sizes, or take a law with fewer unknowns",
        )


def _check_moves(values: Column, name: str, form: Form) -> None:
    if np.ptp(np.log(values)) < 1e-9:
        raise DataError(
            f"`{name}` is {values[0]:g} at every point",
            f"What never changes has no exponent: {form.formula}",
            f"Vary the {name}, or take a law without it",
        )
