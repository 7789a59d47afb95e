"""One pulse down and its echo: a forward and a backward pass, measured."""

from collections.abc import Callable, Iterable
from math import hypot, isfinite, log2
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from fathometer.contract import main_tensor
from fathometer.instruments.depth_points import DepthPoints
from fathometer.instruments.listener import Listener
from fathometer.instruments.recurrent import step_by_step
from fathometer.instruments.sounded import Sounding
from fathometer.instruments.taps import Ear, listen

NUMBERS_AT_ONCE = 2**20  # 8 MiB in float64


def sound(
    model: nn.Module,
    run: Callable[[], Any],
    loss_of: Callable[[Any], Tensor],
    points: DepthPoints,
    *,
    num_samples: int | None = None,
    on_answer: Callable[[Sounding], None] | None = None,
) -> Sounding:
    """Run the model once forward and once backward, and measure every depth point on the way.

    `run` calls the model and returns its output; `loss_of` makes a scalar of that. The gradient that enters the network
    is scaled by a power of two to a root mean square near 1 at the output, so that no verdict depends on the scale of
    the loss and nothing underflows that did not have to. `.grad` is not touched. `on_answer` gets the sounding when output and
    loss are known; the output is then let go, as a training step does, before the backward pass needs the memory.
    """
    sounding = Sounding(len(points.points))
    listener = Listener(sounding, points, num_samples)
    with (
        listen(model, points.modules, on_enter=listener.enter, on_call=listener.leave, on_gradient=listener.gradient),
        listen(model, points.outside(model), on_enter=listener.pass_by, on_call=lambda call: None),
        step_by_step(
            model,
            on_enter=listener.enter,
            on_call=listener.leave,
            on_gradient=listener.gradient,
            on_activation=listener.activation,
        ),
    ):
        with Ear(listener.hearers()):
            sounding.output = run()
        listener.finish()
        sounding.loss = loss_of(sounding.output)
        ends = _ends(sounding, listener)
        if on_answer is not None:
            on_answer(sounding)
            sounding.output = listener.last = None
        size = _gradient_size(sounding.loss, ends)
        sounding.scale = _power_of_two(1 / size, sounding.loss.dtype)
        listener.unit = (size * sounding.scale) ** 2
        _go_back(model, sounding)
        listener.measurer.settle()
    return sounding


def _ends(sounding: Sounding, listener: Listener) -> list[GradientEdge]:
    """Return where the scale of the gradient is read: the output, unless it is a single number, perhaps a loss made inside."""
    output = main_tensor(sounding.output)
    is_signal = output is not None and output.numel() > 1
    ends = [output, listener.last] if is_signal else [listener.last, output]
    return [get_gradient_edge(end) for end in ends if end is not None and end.requires_grad]


def _go_back(model: nn.Module, sounding: Sounding) -> None:
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    loss = sounding.loss
    if not named or loss is None or not loss.requires_grad:
        return
    # Not `grad_outputs`: where those are given, torch imports sympy to look at their shapes (half a second).
    gradients = torch.autograd.grad(loss * sounding.scale, list(named.values()), allow_unused=True)
    sounding.parameter_gradients = dict(zip(named, gradients, strict=True))


def _gradient_size(loss: Tensor, ends: Iterable[GradientEdge]) -> float:
    """Return the root mean square of the loss's gradient at the first end where it is finite and not 0; 1 without one."""
    for end in ends if loss.requires_grad else ():
        (gradient,) = torch.autograd.grad(loss, [end], retain_graph=True, allow_unused=True)
        if gradient is not None and gradient.numel():
            size = _length(gradient) / gradient.numel() ** 0.5
            if size > 0 and isfinite(size):
                return size
    return 1.0


def _length(tensor: Tensor) -> float:
    """Return the Euclidean length in float64, of which only some numbers are made at a time."""
    parts = [float(torch.linalg.vector_norm(part, dtype=torch.float64)) for part in tensor.reshape(-1).split(NUMBERS_AT_ONCE)]
    return hypot(*parts)


def _power_of_two(number: float, dtype: torch.dtype) -> float:
    """Return the power of two that is nearest in ratio, among those that a type can hold."""
    most = int(log2(torch.finfo(dtype).max)) - 1
    return 2.0 ** max(-most, min(most, round(log2(number))))
