"""The linear regions of a ReLU network on a plane, cut out exactly."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from fathometer.errors import BatchError
from fathometer.instruments.pieces import Values, check_size, check_straight, in_double, look

Polygon = Float[np.ndarray, "_ 2"]
ON_THE_LINE = 1e-11  # of the largest number in a layer: a corner so near to a unit's line lies on it


@dataclass(frozen=True, eq=False)
class PlaneRegions:
    """The convex polygons, in coordinates from 0 to 1, on each of which no unit changes side."""

    polygons: tuple[Polygon, ...]

    @property
    def count(self) -> int:
        """Return the number of regions."""
        return len(self.polygons)

    @property
    def areas(self) -> Float[np.ndarray, " _"]:
        """Return the area of each region; together they are 1."""
        return np.array([_area(polygon) for polygon in self.polygons])


def regions_on_plane(model: nn.Module, origin: Tensor, right: Tensor, up: Tensor) -> PlaneRegions:
    """Return the linear regions of a network on the parallelogram of three inputs, each of the shape of one sample.

    The point (s, t) is origin + s (right − origin) + t (up − origin), s and t from 0 to 1. Layer by layer each polygon is
    cut along the line on which a unit is 0. The same modules as in `pieces_on_line`, and the same errors.
    """
    corners = [corner.detach().double() for corner in (origin, right, up)]
    if len({corner.shape for corner in corners}) > 1:
        shapes = ", ".join(str(tuple(corner.shape)) for corner in corners)
        raise BatchError(f"The corners have shapes {shapes}", "Each is one sample", "Give three of one shape")
    base, across, along = corners[0], corners[1] - corners[0], corners[2] - corners[0]
    frozen = in_double(model)

    def run(points: Float[np.ndarray, "_ 2"]) -> tuple[Values, list[Values]]:
        s, t = (torch.from_numpy(column.copy()).view(-1, *[1] * base.ndim) for column in points.T)
        return look(frozen, base + s * across + t * along)

    polygons = [np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])]
    for layer in range(len(run(polygons[0])[1])):
        signals = run(np.concatenate(polygons))[1][layer]
        ends = np.cumsum([len(polygon) for polygon in polygons])[:-1]
        tolerance = ON_THE_LINE * np.abs(signals).max(initial=0.0)
        parts = [_cut(*pair, tolerance) for pair in zip(polygons, np.split(signals, ends), strict=True)]
        polygons = [part for found in parts for part in found]
        check_size(len(polygons))
    _check_flat(run, polygons)
    return PlaneRegions(tuple(polygons))


def _cut(polygon: Polygon, signals: Values, tolerance: float) -> list[Polygon]:
    """Return the parts of a polygon between the lines on which its units are 0; signals are known at its corners."""
    crossing = (signals.min(axis=0) < -tolerance) & (signals.max(axis=0) > tolerance)
    parts = [np.concatenate([polygon, signals[:, crossing]], axis=1)]
    for unit in range(int(crossing.sum())):
        parts = [piece for part in parts for piece in _in_two(part, part[:, 2 + unit], tolerance)]
    return [part[:, :2] for part in parts]


def _in_two(part: Values, heights: Float[np.ndarray, " _"], tolerance: float) -> list[Values]:
    """Return a polygon's part below 0 and that above, or the polygon; rows hold a corner and all that is linear on it."""
    sides = np.sign(np.where(np.abs(heights) <= tolerance, 0.0, heights))
    if not (sides.min() < 0 < sides.max()):
        return [part]
    below, above = list[Float[np.ndarray, " _"]](), list[Float[np.ndarray, " _"]]()
    for here in range(len(part)):
        after = (here + 1) % len(part)
        if sides[here] <= 0:
            below.append(part[here])
        if sides[here] >= 0:
            above.append(part[here])
        if sides[here] * sides[after] < 0:
            share = heights[here] / (heights[here] - heights[after])
            crossing = part[here] + share * (part[after] - part[here])
            below.append(crossing)
            above.append(crossing)
    return [np.array(below), np.array(above)]


def _check_flat(run: object, polygons: list[Polygon]) -> None:
    """Raise `SpecError` unless the network is linear on each polygon: its middle has the mean of its corners."""
    assert callable(run)
    values = run(np.concatenate(polygons))[0]
    ends = np.cumsum([len(polygon) for polygon in polygons])[:-1]
    expected = np.array([part.mean(axis=0) for part in np.split(values, ends)])
    check_straight(run(np.array([polygon.mean(axis=0) for polygon in polygons]))[0], expected)


def _area(polygon: Polygon) -> float:
    x, y = polygon.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
