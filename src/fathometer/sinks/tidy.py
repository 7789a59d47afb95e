"""A measured step as a few series, and depth by step as one picture."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from math import log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fathometer.text.heatmap import COLOURS

Row = Mapping[str, Any]
HEATMAPS = ("signal", "gradient", "update", "attention_logits", "dead")  # those that are measured
MOST_ROWS = 600  # measured steps in a picture; of more every other one goes
CELL = 6  # pixels
LINEAR = ("dead",)
_STOPS = np.array([list(bytes.fromhex(colour.removeprefix("#"))) for colour in COLOURS], dtype=np.float64)
_UNKNOWN = (128, 128, 128)


def scalars(row: Row) -> dict[str, float]:
    """Return the few numbers of a measured step that are worth a series: at most eleven, whatever the depth.

    >>> scalars({"loss": 2.0, "columns": {"update": [0.1, 0.3]}, "facts": {"rate": 0.001}})
    {'loss': 2.0, 'rate': 0.001, 'update_largest': 0.3}
    """
    found = {"loss": row.get("loss"), **{name: row["facts"].get(name) for name in ("rate", "gradient_norm", "spike_score")}}
    for column, how, choose in (
        ("update", "largest", max),
        ("dead", "largest", max),
        ("attention_logits", "largest", max),
        ("attention_entropy", "least", min),
        ("headroom", "largest", max),
    ):
        known = [value for value in row["columns"].get(column, ()) if value is not None]
        if known:
            found[f"{column}_{how}"] = choose(known)
    for column, name in (("signal", "signal_last_over_first"), ("gradient", "gradient_first_over_last")):
        series = row["columns"].get(column, ())
        if len(series) > 1 and series[0] and series[-1]:
            found[name] = series[-1] / series[0] if column == "signal" else series[0] / series[-1]
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}


class Pictures:
    """Keeps columns of the measured steps of a run, and draws each as one picture: depth upwards, steps to the right."""

    def __init__(self) -> None:
        self.columns: dict[str, list[list[float | None]]] = {}

    def add(self, row: Row) -> None:
        """Add a measured step."""
        for name in HEATMAPS:
            if name in row["columns"]:
                kept = self.columns.setdefault(name, [])
                if kept and len(kept[-1]) != len(row["columns"][name]):
                    kept.clear()
                kept.append(list(row["columns"][name]))
                if len(kept) > MOST_ROWS:
                    del kept[::2]

    def pixels(self, name: str) -> NDArray[np.uint8]:
        """Return a picture (height, width, 3)."""
        return heatmap_pixels(self.columns[name], is_log=name not in LINEAR)


def heatmap_pixels(rows: Sequence[Sequence[float | None]], is_log: bool = True) -> NDArray[np.uint8]:
    """Return colours (height, width, 3) for numbers by step and depth: the first layer at the bottom, unknown in grey."""
    heights = np.array([[_height(value, is_log) for value in row] for row in rows], dtype=np.float64).T[::-1]
    known = heights[np.isfinite(heights)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    share = np.clip((heights - low) / (high - low if high > low else 1.0), 0, 1) * (len(_STOPS) - 1)
    place = np.nan_to_num(share)
    below = np.minimum(place.astype(int), len(_STOPS) - 2)
    colours = _STOPS[below] + (place - below)[..., None] * (_STOPS[below + 1] - _STOPS[below])
    colours[~np.isfinite(share)] = _UNKNOWN
    return colours.round().astype(np.uint8).repeat(CELL, axis=0).repeat(CELL, axis=1)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a picture as PNG."""
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _height(value: float | None, is_log: bool) -> float:
    if value is None or value != value or (is_log and value <= 0):
        return float("nan")
    return log10(value) if is_log and value < float("inf") else value
