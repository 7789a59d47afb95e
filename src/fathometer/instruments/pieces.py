"""The linear pieces of a ReLU network along a line, counted exactly."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from fathometer.contract import main_tensor
from fathometer.errors import BatchError, SpecError

Values = Float[np.ndarray, "_ _"]  # a row for each point
aten = torch.ops.aten
# The functions that bend once, where their input is 0; a slope of theirs never turns a sum of signs around.
BENDS = {aten.relu.default, aten.relu_.default, aten.leaky_relu.default, aten.leaky_relu_.default, aten.abs.default}
SAME_PLACE = 1e-13  # of the line: nearer kinks are one, told apart by rounding alone
SAME_SLOPE = 1e-7  # of the steepest piece: float64 leaves about 1e-10 after some dozens of layers
MOST_PIECES = 2**20


@dataclass(frozen=True, eq=False)
class LinePieces:
    """Where a network bends between two inputs.

    `places` go from 0 to 1, both ends too; `values` are the outputs `(place, output)` there, and between two places the network
    is a straight line. `regions` counts the stretches on which no unit changes side, also where the output does not bend.
    """

    places: Float[np.ndarray, " _"]
    values: Values
    regions: int

    @property
    def count(self) -> int:
        """Return the number of linear pieces."""
        return len(self.places) - 1

    @property
    def slopes(self) -> Float[np.ndarray, "_ _"]:
        """Return the change of the outputs over the whole line, as each piece would have it."""
        return np.diff(self.values, axis=0) / np.diff(self.places)[:, None]


def pieces_on_line(model: nn.Module, start: Tensor, end: Tensor) -> LinePieces:
    """Return the linear pieces of a network along the line from one input to another, each of the shape of one sample.

    For any module of linear operations, ReLU, leaky ReLU and absolute values, in whatever order and with whatever skips: one
    pass for each such function, at all kinks that the ones before it have made. In float64, in eval mode; the network stays
    as it was. Raises `SpecError` where the network is not piecewise linear between the kinks that were found.
    """
    line = np.linspace(0, 1, 2)
    first, last = start.detach().double(), end.detach().double()
    if first.shape != last.shape:
        raise BatchError(
            f"The ends have shapes {tuple(first.shape)} and {tuple(last.shape)}", "Both are one sample", "Give two of one shape"
        )

    frozen = in_double(model)

    def run(places: Float[np.ndarray, " _"]) -> tuple[Values, list[Values]]:
        steps = torch.from_numpy(places).view(-1, *[1] * first.ndim)
        return look(frozen, first + steps * (last - first))

    for layer in range(len(run(line)[1])):
        line = _with_crossings(line, run(line)[1][layer])
        check_size(len(line))
    values, middles = run(line)[0], run((line[:-1] + line[1:]) / 2)[0]
    check_straight(middles, (values[:-1] + values[1:]) / 2)
    kept = _bending(line, values)
    return LinePieces(line[kept], values[kept], len(line) - 1)


def _with_crossings(places: Float[np.ndarray, " _"], signals: Values) -> Float[np.ndarray, " _"]:
    """Return the places with those added where a unit crosses 0 between two of them."""
    before, after = signals[:-1], signals[1:]
    crosses = before * after < 0
    share = before[crosses] / (before[crosses] - after[crosses])
    rows = np.nonzero(crosses)[0]
    new = places[rows] + share * np.diff(places)[rows]
    joined = np.sort(np.concatenate([places, new]))
    apart = np.concatenate([[True], np.diff(joined) > SAME_PLACE])
    apart[-1] = True  # the end stays, what rounding put beside it goes
    kept = joined[apart]
    return kept if len(kept) < 2 or kept[-1] - kept[-2] > SAME_PLACE else np.append(kept[:-2], kept[-1])


def _bending(places: Float[np.ndarray, " _"], values: Values) -> Bool[np.ndarray, " _"]:
    """Return which places are ends, or have another slope at their left than at their right."""
    slopes = np.diff(values, axis=0) / np.diff(places)[:, None]
    scale = np.abs(slopes).max(initial=0.0)
    bends = (np.abs(np.diff(slopes, axis=0)) > SAME_SLOPE * scale).any(axis=1)
    return np.concatenate([[True], bends, [True]])


def check_straight(found: Values, expected: Values) -> None:
    """Raise `SpecError` unless the outputs within the pieces are those of straight lines."""
    off, scale = np.abs(found - expected).max(initial=0.0), np.abs(expected).max(initial=0.0)
    if not off <= SAME_SLOPE * max(scale, 1e-300):  # not a number is not straight
        raise SpecError(
            "Between its kinks the network is not a straight line",
            "Pieces are counted of linear operations, ReLU, leaky ReLU and absolute values",
            "Take activation = relu and no norm, softmax or max-pool",
        )


def check_size(count: int) -> None:
    """Raise `SpecError` for more pieces than memory should hold."""
    if count > MOST_PIECES:
        raise SpecError(
            f"There are over {MOST_PIECES:,} pieces", "Each of them is kept", "Take a shorter line or a smaller network"
        )


def in_double(model: nn.Module) -> nn.Module:
    """Return a copy in float64 and in eval mode."""
    return deepcopy(model).double().eval()


def look(model: nn.Module, inputs: Tensor) -> tuple[Values, list[Values]]:
    """Return the outputs `(point, output)` for a batch of points, and what went into each function that bends."""
    listener = _Bends(len(inputs))
    with torch.no_grad(), listener:
        outputs = main_tensor(model(inputs))
    if outputs is None:
        raise SpecError("The network returns no numbers", "Its pieces are those of its output", "Return a tensor")
    return rows(outputs), listener.signals


def rows(tensor: Tensor) -> Values:
    """Return a batch as rows of numbers."""
    return tensor.detach().flatten(1).numpy().copy()


class _Bends(TorchDispatchMode):
    """Keeps the inputs of the functions that bend, in the order of execution."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch, self.signals = batch, list[Values]()

    def __torch_dispatch__(self, func: Any, types: Sequence[Any], args: Any = (), kwargs: Any = None) -> Any:
        if func in BENDS:
            if len(args[0]) != self.batch:
                raise SpecError("Samples are mixed or folded", "Pieces are those of one sample", "Give another network")
            self.signals.append(rows(args[0]))
        return func(*args, **(kwargs or {}))
