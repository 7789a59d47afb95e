"""A curve in one line of text, for terminals."""

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite, log10
from statistics import median

_BLOCKS = "▁▂▃▄▅▆▇█"
_UNKNOWN, _INFINITE, _ZERO = "·", "↑", "_"


def sparkline(values: Sequence[float | None], width: int = 24, log: bool = False) -> str:
    """Draw numbers as one character each, or one for each stretch of them where there are more than `width`.

    A stretch shows its median, but what is infinite ("↑") or what a logarithm cannot take ("_", 0 or below) is never
    hidden by its neighbours. Unknown is "·".

    >>> sparkline([1.0, 0.1, 0.01, 0.0, None], log=True)
    '█▅▁_·'
    """
    heights = [_height(values[start:end], log) for start, end in stretches(len(values), width)]
    known = [height for height in heights if isinstance(height, float)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    return "".join(height if isinstance(height, str) else _block(height, low, high) for height in heights)


def stretches(size: int, most: int) -> list[tuple[int, int]]:
    """Return from where to where at most `most` stretches of like length go that together are `size` long.

    >>> stretches(5, 2), stretches(0, 2)
    ([(0, 2), (2, 5)], [])
    """
    count = min(size, most)
    return list(pairwise(place * size // count for place in range(count + 1))) if count else []


def _height(stretch: Sequence[float | None], log: bool) -> float | str:
    known = [value for value in stretch if value is not None and value == value]
    if any(not isfinite(value) for value in known):
        return _INFINITE
    if log and any(value <= 0 for value in known):
        return _ZERO
    if not known:
        return _UNKNOWN
    return float(median(log10(value) for value in known) if log else median(known))


def _block(height: float, low: float, high: float) -> str:
    if high == low:
        return _BLOCKS[3]
    return _BLOCKS[int((height - low) / (high - low) * (len(_BLOCKS) - 1) + 0.5)]
