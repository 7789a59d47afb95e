"""Whether a line of a run's log is of the kinds that we write."""

from collections.abc import Callable, Mapping
from typing import Any

Row = Mapping[str, Any]


def is_row(row: Row) -> bool:
    """Return whether each part of a line that is read later is of its kind: what is not was written by another, or damaged."""
    needed, checks = NEEDED.get(row.get("kind", ""), ()) if isinstance(row.get("kind", ""), str) else (), CHECKS
    return (
        all(name in row for name in needed)
        and all(checks[name](value) for name, value in row.items() if name in checks)
        and _fits(row)
    )


def _is_step(value: Any) -> bool:
    return type(value) is int and 0 <= value < 10**15


def _is_real(value: Any) -> bool:
    return isinstance(value, float) or (type(value) is int and abs(value) < 10**300)


def _is_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _is_column(value: Any) -> bool:
    return isinstance(value, list) and all(one is None or _is_real(one) for one in value)


def _is_losses(value: Any) -> bool:
    pairs = isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value)
    return pairs and all(_is_step(step) and _is_real(loss) for step, loss in value)


def _fits(row: Row) -> bool:
    """Return whether each column has a number for each depth point."""
    return "columns" not in row or all(len(column) == len(row.get("points", ())) for column in row["columns"].values())


NEEDED: dict[str, tuple[str, ...]] = {
    "step": ("step", "points", "columns"),
    "alert": ("step", "name", "sentence", "gravity", "points"),
    "end": ("how",),
}
CHECKS: dict[str, Callable[[Any], bool]] = {
    "kind": lambda value: isinstance(value, str),
    "step": _is_step,
    "after_step": lambda value: value is None or _is_step(value),
    "points": _is_words,
    "columns": lambda value: isinstance(value, dict) and all(map(_is_column, value.values())),
    "losses": _is_losses,
    "loss": _is_real,
    **dict.fromkeys(("name", "sentence", "gravity", "how", "model"), lambda value: isinstance(value, str)),
}
