"""One pulse down and its echo: a forward and a backward pass, measured."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import isfinite, log2
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import main_tensor, tensors_in
from fathometer.instruments.activity import activation_hearers, dead_share, layer_hearers, saturated_share
from fathometer.instruments.attention import Sharpness, attention_hearers
from fathometer.instruments.depth_points import DepthPoints
from fathometer.instruments.geometry import (
    as_places,
    as_rows,
    correlation,
    effective_rank,
    kept_share,
    normalised_by_block,
    normalised_samples,
    normalised_share,
    rounding_floor,
    second_moment,
    shared_direction,
    spread,
    token_spread,
)
from fathometer.instruments.taps import Call, Ear, Hearer, listen

Columns = dict[str, list[float | None]]
NORMALISED = 0.9  # from this share on the output of a block counts as normalised; without a norm it stays under 0.7
STREAM = 0.3  # a block that shares more with its input passes it on


@dataclass
class Sounding:
    """What one forward and backward pass showed, by depth point.

    `columns` holds signal, correlation, spread (1 - correlation, exact when tiny), rank, gradient (second moment, over that
    at the output), gradient_correlation, dead and saturated (the worst activation of a block), shared (correlation of a
    block's output with its input), branch_ratio (where the output is normalised, of what is added to what is kept of the
    input), token_spread (of outputs (batch, time, width)), attention_entropy (the least over heads) and attention_logits
    (the largest) of the sharpest attention in a block, normalised, and batch_norm (norms over the batch for each layer with
    weights, at most 1; only where there is one). `spread_floor` is the largest of the floors that spread was held to: a
    spread of no more says that the samples are one as far as these numbers can tell, and has no rank beside it.
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

    def put_worst(self, column: str, index: int, value: float | None, worse: Callable[[float, float], float] = max) -> None:
        """Write one number unless a worse one is there (a larger one, by default), or it is None."""
        known = self.columns.get(column, [None] * self.num_points)[index]
        if value is not None:
            self.put(column, index, value if known is None else worse(known, value))


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
        with Ear(listener.hearers()):
            sounding.output = run()
        listener.finish()
        sounding.loss = loss_of(sounding.output)
        output = main_tensor(sounding.output)
        # A single number may be a loss that the model made inside: then the last depth point tells the scale.
        is_signal = output is not None and output.numel() > 1
        size = _gradient_size(sounding.loss, [output, listener.last] if is_signal else [listener.last, output])
        sounding.scale = _power_of_two(1 / size, sounding.loss.dtype)
        listener.unit = (size * sounding.scale) ** 2
        _go_back(model, sounding)
    return sounding


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
        self.before: dict[int, list[tuple[torch.Size, Tensor]]] = {}
        self.layers: Counter[int | None] = Counter()
        self.batch_norms: Counter[int | None] = Counter()
        self.last: Tensor | None = None
        self.last_rows: tuple[int, Tensor] | None = None
        self.unit: float | None = None

    def enter(self, name: str, inputs: Any) -> None:
        index = self.at_enter.get((name, self.entered[name]))
        self.entered[name] += 1
        if index is not None:
            self.current = index
            main = main_tensor(inputs)
            others = [] if main is self.last else [tensor for _, tensor in tensors_in(inputs) if tensor.is_floating_point()]
            held = {id(tensor): tensor for tensor in (main, *others) if tensor is not None and tensor.ndim}
            self.before[index] = [(tensor.shape, self._rows(tensor)) for tensor in held.values()]

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
        self._look_at_places(index, tensor, rows, floor)
        # A mask may come before the signal: what enters is the first that has the shape of what leaves.
        before = next((before for shape, before in self.before.pop(index, []) if shape == tensor.shape), None)
        if before is not None:
            self._compare(index, before, rows, floor)
        self.last, self.last_rows = tensor, (tensor._version, rows)

    def _look_at_places(self, index: int, tensor: Tensor, rows: Tensor, floor: float) -> None:
        places = as_places(tensor, self.num_samples)
        self.sounding.put("token_spread", index, token_spread(places, floor) if places is not None and tensor.ndim == 3 else None)
        self.sounding.put("normalised", index, None if places is None else normalised_share(places))
        if tensor.ndim > 3:
            self.sounding.put_worst("normalised", index, normalised_samples(tensor, rows))

    def _compare(self, index: int, before: Tensor, rows: Tensor, floor: float) -> None:
        """Write what is shared, and what is added: a norm behind the sum has shrunk the input that is in it."""
        shared = shared_direction(before, rows)
        self.sounding.put("shared", index, shared)
        size = second_moment(before) if shared is not None else 0.0
        if shared is None or not size > 0:
            return
        ratio = (second_moment(rows - before) / size) ** 0.5
        if shared > STREAM:
            normalised = normalised_by_block(self.sounding.columns["normalised"][index], ratio, floor)
            self.sounding.put("normalised", index, normalised)
            if normalised is not None and normalised > NORMALISED:
                ratio = (second_moment(rows / kept_share(before, rows) - before) / size) ** 0.5
        self.sounding.put("branch_ratio", index, ratio)

    def gradient(self, call: Call, gradient: Tensor) -> None:
        index = self.at_leave.get((call.name, call.index))
        if index is not None and self.unit is not None:
            rows = as_rows(gradient, self.num_samples)
            self.sounding.put("gradient", index, second_moment(rows) / self.unit)
            self.sounding.put("gradient_correlation", index, correlation(rows))

    def activation(self, name: str, inputs: Tensor) -> None:
        self.sounding.heard[name] += 1
        if self.current is not None:
            self.sounding.put_worst("dead", self.current, dead_share(name, inputs))
            self.sounding.put_worst("saturated", self.current, saturated_share(name, inputs))

    def hearers(self) -> dict[Any, Hearer]:
        """Return what is heard inside of blocks, function by function."""
        layers, batch_norms = self.layers, self.batch_norms
        return {
            **activation_hearers(self.activation),
            **attention_hearers(self.attention, self.num_samples),
            **layer_hearers(lambda: layers.update([self.current]), lambda: batch_norms.update([self.current])),
        }

    def attention(self, heard: Sharpness) -> None:
        if self.current is not None:
            self.sounding.put_worst("attention_entropy", self.current, heard.entropy, min)
            self.sounding.put_worst("attention_logits", self.current, heard.logits)

    def finish(self) -> None:
        """Write what can be told only when all has been heard."""
        for index, norms in self.batch_norms.items():
            if index is not None:
                self.sounding.put("batch_norm", index, min(norms / max(self.layers[index], 1), 1.0))
