"""The coordinate check of a user's module, under any parametrization."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fathometer.errors import SpecError
from fathometer.instruments import seeded
from fathometer.networks import parametrize
from fathometer.networks.comparison import Make, block_places
from fathometer.records import Asked
from fathometer.runs.coordinate_check import CoordinateCheck, stream_means


def check_module(
    make: Make,
    batches: Sequence[Any],
    *,
    sizes: Sequence[tuple[int, int]],
    base: tuple[int, int],
    name: str | None = "completep",
    steps: int = 10,
    learning_rate: float = 1e-3,
    seeds: Iterable[int] = (0,),
) -> CoordinateCheck:
    """Return how the stream of a user's module depends on its width or its depth, at the start and over first steps of Adam.

    `make(width, depth)` returns the module, `sizes` are (width, depth) of which one varies. `name` is a parametrization that
    scales from `base`, None the module as it is made: the control. See `coordinate_check`.

    Raises `SpecError` unless exactly one of width and depth varies.
    """
    axis = _axis(sizes)
    asked = Asked(steps=steps + 1, learning_rate=learning_rate)
    with seeded(0):  # whose numbers do not matter: for names alone
        place = block_places(make(*base), make(base[0], 2 * base[1]))[-1]
    rows = [[_means(make, size, place, batches, asked, (base, name, seed)) for seed in seeds] for size in sizes]
    means = tuple(tuple(float(value) for value in np.mean(of_size, axis=0)) for of_size in rows)
    return CoordinateCheck(axis, tuple(size[axis == "depth"] for size in sizes), means)


def _axis(sizes: Sequence[tuple[int, int]]) -> str:
    widths, depths = {width for width, _ in sizes}, {depth for _, depth in sizes}
    if (len(widths) > 1) == (len(depths) > 1):
        raise SpecError(
            f"The sizes are {list(sizes)}", "They are (width, depth), of which one varies and the other does not",
            "Try sizes=[(64, 2), (64, 4), (64, 8)]",
        )  # fmt: skip
    return "width" if len(widths) > 1 else "depth"


def _means(
    make: Make,
    size: tuple[int, int],
    place: str,
    batches: Sequence[Any],
    asked: Asked,
    way: tuple[tuple[int, int], str | None, int],
) -> list[float]:
    base, name, seed = way
    where, block = f"{size[0]} wide and {size[1]} deep", f"{place}.{size[1] - 1}".lstrip(".")
    with seeded(seed):
        if name is None:
            return stream_means(make(*size), block, batches, asked, None, where)
        found = parametrize(make, *size, batches[0], base=base, name=name, seed=seed)
        return stream_means(found.model, block, batches, asked, found.scales, where)
