"""One pulse down and its echo: a forward and a backward pass, measured."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import isfinite, log2
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import main_tensor
from fathometer.instruments.activity import dead_share, saturated_share
from fathometer.instruments.depth_points import DepthPoints
from fathometer.instruments.geometry import (
    as_rows,
    correlation,
    effective_rank,
    rounding_floor,
    second_moment,
    shared_direction,
    spread,
)
from fathometer.instruments.taps import ActivationEar, Call, listen

Columns = dict[str, list[float | None]]


@dataclass
class Sounding:
    """What one forward and backward pass showed, by depth point.

    `columns` holds signal, correlation, spread (1 - correlation, exact when tiny), rank, gradient (second moment, over that
    at the output), gradient_correlation, dead and saturated (the worst activation of a block), shared (correlation of a
    block's output with its input) and branch_ratio. `spread_floor` is the largest of the floors that spread was held to:
    a spread of no more says that the samples are one as far as these numbers can tell, and has no rank beside it.
    `parameter_gradients` are for the loss times `scale`, a power of two, and None for parameters that the loss does not
    depend on; `heard` counts activations.
    """

    num_points: int
    columns: Columns = field(default_factory=dict)
    output: Any = None
    loss: Tensor | None = None
    scale: float = 1.0
    spread_floor: float = 0.0
    parameter_gradients: dict[str, Tensor | None] = field(default_factory=dict)
    heard: Counter[str] = field(default_factory=Counter)

    def put(self, column: str, index: int, value: float | None) -> None:
        """Write one number."""
        if column not in self.columns:
            self.columns[column] = [None] * self.num_points
        self.columns[column][index] = value

    def put_larger(self, column: str, index: int, value: float | None) -> None:
        """Write one number unless a larger one is there, or it is None."""
        known = self.columns.get(column, [None] * self.num_points)[index]
        if value is not None and (known is None or value > known):
            self.put(column, index, value)


def sound(
    model: nn.Module,
    run: Callable[[], Any],
    loss_of: Callable[[Any], Tensor],
    points: DepthPoints,
    *,
    num_samples: int | None = None,
) -> Sounding:
    """Run the model once forward and once backward, and measure every depth point on the way.

    `run` calls the model and returns its output; `loss_of` makes a scalar of that. The gradient that enters the network
    is scaled by a power of two to a root mean square near 1 at the output, so that no verdict depends on the scale of
    the loss and nothing underflows that did not have to. `.grad` is not touched.
    """
    sounding = Sounding(len(points.points))
    listener = _Listener(sounding, points, num_samples)
    with (
        listen(model, points.modules, on_enter=listener.enter, on_call=listener.leave, on_gradient=listener.gradient),
        listen(model, points.outside(model), on_enter=listener.pass_by, on_call=lambda call: None),
    ):
        with ActivationEar(listener.activation):
            sounding.output = run()
        sounding.loss = loss_of(sounding.output)
        output = main_tensor(sounding.output)
        # A single number may be a loss that the model made inside: then the last depth point tells the scale.
        is_signal = output is not None and output.numel() > 1
        size = _gradient_size(sounding.loss, [output, listener.last] if is_signal else [listener.last, output])
        sounding.scale = _power_of_two(1 / size, sounding.loss.dtype)
        listener.unit = (size * sounding.scale) ** 2
        _go_back(model, sounding)
    return sounding


def first_non_finite(model: nn.Module, run: Callable[[], Any]) -> str | None:
    """Return the name of the first module, in order of finishing, whose output is not finite."""
    found: list[str] = []

    def check(call: Call) -> None:
        tensor = main_tensor(call.output)
        if not found and tensor is not None and not bool(torch.isfinite(tensor).all()):
            found.append(call.name)

    with torch.no_grad(), listen(model, on_call=check):
        run()
    return found[0] if found else None


def _go_back(model: nn.Module, sounding: Sounding) -> None:
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    loss = sounding.loss
    if not named or loss is None or not loss.requires_grad:
        return
    start = torch.full_like(loss, sounding.scale)
    gradients = torch.autograd.grad(loss, list(named.values()), grad_outputs=start, allow_unused=True)
    sounding.parameter_gradients = dict(zip(named, gradients, strict=True))


def _gradient_size(loss: Tensor, tensors: Iterable[Tensor | None]) -> float:
    """Return the root mean square of the loss's gradient at the first tensor where it is finite and not 0; 1 without one."""
    for tensor in tensors:
        if tensor is None or not tensor.requires_grad or not loss.requires_grad:
            continue
        (gradient,) = torch.autograd.grad(loss, tensor, retain_graph=True, allow_unused=True)
        if gradient is not None and gradient.numel():
            size = float(torch.linalg.vector_norm(gradient, dtype=torch.float64)) / gradient.numel() ** 0.5
            if size > 0 and isfinite(size):
                return size
    return 1.0


def _power_of_two(number: float, dtype: torch.dtype) -> float:
    """Return the power of two that is nearest in ratio, among those that a type can hold."""
    most = int(log2(torch.finfo(dtype).max)) - 1
    return 2.0 ** max(-most, min(most, round(log2(number))))


class _Listener:
    """Turns what the taps hear into numbers at the right depth point, keeping nothing that it has counted.

    An activation belongs to the block that was entered last, until a layer outside of all blocks is entered: what follows
    a block, as in relu(block(x)), is its own; what a stem or a readout does inside is nobody's.
    """

    def __init__(self, sounding: Sounding, points: DepthPoints, num_samples: int | None) -> None:
        self.sounding, self.num_samples = sounding, num_samples
        self.at_leave = {(point.leave, point.stop): index for index, point in enumerate(points.points)}
        self.at_enter = {(point.enter, point.start): index for index, point in enumerate(points.points)}
        self.entered: Counter[str] = Counter()
        self.current: int | None = None
        self.before: dict[int, Tensor] = {}
        self.last: Tensor | None = None
        self.last_rows: tuple[int, Tensor] | None = None
        self.unit: float | None = None

    def enter(self, name: str, inputs: Any) -> None:
        index = self.at_enter.get((name, self.entered[name]))
        self.entered[name] += 1
        if index is not None:
            self.current = index
            tensor = main_tensor(inputs)
            if tensor is not None:
                self.before[index] = self._rows(tensor)

    def _rows(self, tensor: Tensor) -> Tensor:
        """Return the rows of a tensor; those of the last block's output, if that is what enters, and as it was."""
        if tensor is self.last and self.last_rows is not None and self.last_rows[0] == tensor._version:
            return self.last_rows[1]
        return as_rows(tensor, self.num_samples)

    def pass_by(self, name: str, inputs: Any) -> None:
        self.current = None

    def leave(self, call: Call) -> None:
        index, tensor = self.at_leave.get((call.name, call.index)), main_tensor(call.output)
        if index is None or tensor is None:
            return
        rows, floor = as_rows(tensor, self.num_samples), rounding_floor(tensor.dtype)
        distance = spread(rows, floor)
        self.sounding.spread_floor = max(self.sounding.spread_floor, floor)
        self.sounding.put("signal", index, second_moment(rows))
        self.sounding.put("correlation", index, None if distance is None else 1 - distance)
        self.sounding.put("spread", index, distance)
        self.sounding.put("rank", index, effective_rank(rows, floor))
        if index in self.before:
            self._compare(index, self.before.pop(index), rows)
        self.last, self.last_rows = tensor, (tensor._version, rows)

    def _compare(self, index: int, before: Tensor, rows: Tensor) -> None:
        shared = shared_direction(before, rows)
        self.sounding.put("shared", index, shared)
        size = second_moment(before) if shared is not None else 0.0
        if size > 0:
            self.sounding.put("branch_ratio", index, (second_moment(rows - before) / size) ** 0.5)

    def gradient(self, call: Call, gradient: Tensor) -> None:
        index = self.at_leave.get((call.name, call.index))
        if index is not None and self.unit is not None:
            rows = as_rows(gradient, self.num_samples)
            self.sounding.put("gradient", index, second_moment(rows) / self.unit)
            self.sounding.put("gradient_correlation", index, correlation(rows))

    def activation(self, name: str, inputs: Tensor) -> None:
        self.sounding.heard[name] += 1
        if self.current is not None:
            self.sounding.put_larger("dead", self.current, dead_share(name, inputs))
            self.sounding.put_larger("saturated", self.current, saturated_share(name, inputs))
