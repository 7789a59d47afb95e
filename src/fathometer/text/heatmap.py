"""Depth by step as a block of text, for terminals."""

from collections.abc import Sequence
from math import isfinite, log10
from statistics import median

from fathometer.text.sparkline import stretches

SHADES = " ░▒▓█"
UNKNOWN, INFINITE = "·", "!"
# From low to high, lighter all the way, also to colour-blind eyes and in print: dark blue, teal, green, yellow.
COLOURS = ("#26184A", "#2B4E7A", "#208079", "#5CB257", "#F7E15C")
Rows = Sequence[Sequence[float | None]]


def heat_levels(rows: Rows, width: int = 60, height: int = 16, log: bool = True) -> list[list[float | None]]:
    """Return numbers by step (rows) and depth as a grid of levels from 0 to 1: the last layer on top, steps to the right.

    Where there are more steps or layers than fit, each cell is the median of its stretch; infinite ones stay (as inf), and
    what is unknown, or has no logarithm, is None.

    >>> heat_levels([[1.0, 10.0], [1.0, 100.0]], log=True)
    [[0.5, 1.0], [0.0, 0.0]]
    """
    if not rows or not rows[0]:
        return []
    by_depth = [[_height(value, log) for value in layer] for layer in zip(*rows, strict=True)]
    columns, lines = stretches(len(rows), width), stretches(len(by_depth), height)
    grid = [[_cell([by_depth[d][s] for d in range(*line) for s in range(*column)]) for column in columns] for line in lines]
    known = [value for line in grid for value in line if value is not None and isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    return [[_level(value, low, high) for value in line] for line in reversed(grid)]


def heat_text(levels: Sequence[Sequence[float | None]]) -> list[str]:
    """Return the grid as lines of shades, for what shows no colour.

    >>> heat_text([[0.0, 0.5, 1.0, None]])
    [' ▒█·']
    """
    return ["".join(_shade(level) for level in line) for line in levels]


def heat_colour(level: float) -> str:
    """Return the colour of a level from 0 to 1, as "#RRGGBB", between two of `COLOURS`.

    >>> heat_colour(0.0), heat_colour(1.0)
    ('#26184A', '#F7E15C')
    """
    place = min(max(level, 0.0), 1.0) * (len(COLOURS) - 1)
    below = min(int(place), len(COLOURS) - 2)
    parts = [bytes.fromhex(colour.removeprefix("#")) for colour in COLOURS[below : below + 2]]
    mixed = [round(one + (place - below) * (other - one)) for one, other in zip(*parts, strict=True)]
    return "#" + "".join(f"{value:02X}" for value in mixed)


def _shade(level: float | None) -> str:
    if level is None:
        return UNKNOWN
    return SHADES[int(level * (len(SHADES) - 1) + 0.5)] if isfinite(level) else INFINITE


def _height(value: float | None, log: bool) -> float | None:
    if value is None or value != value or (log and value <= 0):
        return None
    return log10(value) if log and isfinite(value) else value


def _cell(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if any(not isfinite(value) for value in known):
        return float("inf")
    return median(known) if known else None


def _level(value: float | None, low: float, high: float) -> float | None:
    if value is None or not isfinite(value):
        return value
    return (value - low) / (high - low) if high > low else 0.5
