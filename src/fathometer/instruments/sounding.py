"""One pulse down and its echo: a forward and a backward pass, measured."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite, log2
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import main_tensor
from fathometer.instruments.activity import dead_share, saturated_share
from fathometer.instruments.depth_points import DepthPoints
from fathometer.instruments.geometry import as_rows, correlation, effective_rank, second_moment, shared_direction, spread
from fathometer.instruments.taps import ActivationEar, Call, listen

Columns = dict[str, list[float | None]]


@dataclass
class Sounding:
    """What one forward and backward pass showed, by depth point; gradients are for the loss times `scale`.

    `columns` holds raw numbers: signal, correlation, spread (1 - correlation, exact when tiny), rank, gradient (second
    moment), gradient_correlation, dead, saturated, shared (correlation of a block's output with its input) and
    branch_ratio. `parameter_gradients` has None for parameters that the loss does not depend on; `heard` counts activations.
    """

    num_points: int
    columns: Columns = field(default_factory=dict)
    output: Any = None
    loss: Tensor | None = None
    scale: float = 1.0
    parameter_gradients: dict[str, Tensor | None] = field(default_factory=dict)
    heard: Counter[str] = field(default_factory=Counter)

    def put(self, column: str, index: int, value: float | None) -> None:
        """Write one number."""
        if column not in self.columns:
            self.columns[column] = [None] * self.num_points
        self.columns[column][index] = value


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
    with listen(model, points.modules, on_enter=listener.enter, on_call=listener.leave, on_gradient=listener.gradient):
        with ActivationEar(listener.activation):
            sounding.output = run()
        sounding.loss = loss_of(sounding.output)
        sounding.scale = _scale_to_one(sounding.loss, main_tensor(sounding.output))
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


def _scale_to_one(loss: Tensor, output: Tensor | None) -> float:
    """Return the power of two that brings the gradient at the output to a root mean square of about 1."""
    if output is None or not output.requires_grad or not loss.requires_grad:
        return 1.0
    (gradient,) = torch.autograd.grad(loss, output, retain_graph=True, allow_unused=True)
    if gradient is None:
        return 1.0
    size = float(torch.linalg.vector_norm(gradient, dtype=torch.float64)) / max(gradient.numel(), 1) ** 0.5
    return 2.0 ** -round(log2(size)) if size > 0 and isfinite(size) else 1.0


class _Listener:
    """Turns what the taps hear into numbers at the right depth point, keeping nothing that it has counted."""

    def __init__(self, sounding: Sounding, points: DepthPoints, num_samples: int | None) -> None:
        self.sounding, self.num_samples = sounding, num_samples
        self.at_leave = {(point.leave, point.stop): index for index, point in enumerate(points.points)}
        self.at_enter = {(point.enter, point.start): index for index, point in enumerate(points.points)}
        self.entered: dict[str, int] = {}
        self.current = 0
        self.before: Tensor | None = None

    def enter(self, name: str, inputs: Any) -> None:
        count = self.entered.get(name, 0)
        self.entered[name] = count + 1
        index = self.at_enter.get((name, count))
        tensor = main_tensor(inputs)
        if index is not None:
            self.current = index
            self.before = None if tensor is None else as_rows(tensor, self.num_samples)

    def leave(self, call: Call) -> None:
        index, tensor = self.at_leave.get((call.name, call.index)), main_tensor(call.output)
        if index is None or tensor is None:
            return
        rows = as_rows(tensor, self.num_samples)
        for column, value in (
            ("signal", second_moment(rows)),
            ("correlation", correlation(rows)),
            ("spread", spread(rows)),
            ("rank", effective_rank(rows)),
        ):
            self.sounding.put(column, index, value)
        if self.before is not None:
            self._compare(index, self.before, rows)

    def _compare(self, index: int, before: Tensor, rows: Tensor) -> None:
        shared = shared_direction(before, rows)
        self.sounding.put("shared", index, shared)
        size = second_moment(before) if shared is not None else 0.0
        if size > 0:
            self.sounding.put("branch_ratio", index, (second_moment(rows - before) / size) ** 0.5)

    def gradient(self, call: Call, gradient: Tensor) -> None:
        index = self.at_leave.get((call.name, call.index))
        if index is not None:
            rows = as_rows(gradient, self.num_samples)
            self.sounding.put("gradient", index, second_moment(rows))
            self.sounding.put("gradient_correlation", index, correlation(rows))

    def activation(self, name: str, inputs: Tensor) -> None:
        self.sounding.heard[name] += 1
        for column, value in (("dead", dead_share(name, inputs)), ("saturated", saturated_share(name, inputs))):
            if value is not None:
                self.sounding.put(column, self.current, value)
