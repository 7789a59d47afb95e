"""What the taps hear becomes numbers at the right depth point."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node

from fathometer.contract import main_tensor, tensors_in
from fathometer.instruments.activity import activation_hearers, dead_share, layer_hearers, saturated_share
from fathometer.instruments.attention import Sharpness, attention_hearers
from fathometer.instruments.depth_points import DepthPoints
from fathometer.instruments.geometry import (
    as_places,
    as_rows,
    kept_share,
    normalised_samples,
    rounding_floor,
    second_moment,
    token_spread,
)
from fathometer.instruments.measuring import Measurer, Seen
from fathometer.instruments.passing import passes_on
from fathometer.instruments.sounded import Sounding
from fathometer.instruments.taps import Call, Hearer


@dataclass(frozen=True, eq=False)
class _Entered:
    """What entered a block: its shape, where it stands in autograd's graph, and its rows as they were."""

    shape: torch.Size
    node: Node | None
    rows: Tensor


class Listener:
    """Turns what the taps hear into numbers at the right depth point, keeping nothing that it has counted.

    An activation belongs to the block that was entered last, until a layer outside of all blocks is entered: what follows
    a block, as in relu(block(x)), is its own; what a stem or a readout does inside is nobody's.
    """

    def __init__(self, sounding: Sounding, points: DepthPoints, num_samples: int | None) -> None:
        self.sounding, self.num_samples, self.measurer = sounding, num_samples, Measurer(sounding)
        self.at_leave = {(point.leave, point.stop): index for index, point in enumerate(points.points)}
        self.at_enter = {(point.enter, point.start): index for index, point in enumerate(points.points)}
        self.entered: Counter[str] = Counter()
        self.current: int | None = None
        self.before: dict[int, list[_Entered]] = {}
        self.layers: Counter[int | None] = Counter()
        self.batch_norms: Counter[int | None] = Counter()
        self.last: Tensor | None = None
        self.last_rows: tuple[int, Tensor] | None = None
        self.branch: tuple[int, _Entered, Tensor] | None = None
        self.outside: dict[int, float] = {}
        self.unit: float | None = None

    def enter(self, name: str, inputs: Any) -> None:
        index = self.at_enter.get((name, self.entered[name]))
        self.entered[name] += 1
        if index is not None:
            self.current = index
            main = main_tensor(inputs)
            others = [] if main is self.last else [tensor for _, tensor in tensors_in(inputs) if tensor.is_floating_point()]
            held = {id(tensor): tensor for tensor in (main, *others) if tensor is not None and tensor.ndim}
            self.before[index] = [_Entered(tensor.shape, tensor.grad_fn, self._rows(tensor)) for tensor in held.values()]
            if main is not None and id(main) in held:
                if index == 0:
                    self._look_at_entering(main)
                self._look_between(index - 1, main, self.before[index][0].rows)

    def _rows(self, tensor: Tensor) -> Tensor:
        """Return the rows of a tensor; those of the last block's output, if that is what enters, and as it was."""
        if tensor is self.last and self.last_rows is not None and self.last_rows[0] == tensor._version:
            return self.last_rows[1]
        return as_rows(tensor, self.num_samples)

    def _look_at_entering(self, tensor: Tensor) -> None:
        places = as_places(tensor, self.num_samples) if tensor.ndim == 3 else None
        self.sounding.entering_token_spread = None if places is None else token_spread(places, rounding_floor(tensor.dtype))

    def pass_by(self, name: str, inputs: Any) -> None:
        self.current = None

    def leave(self, call: Call) -> None:
        index, tensor = self.at_leave.get((call.name, call.index)), main_tensor(call.output)
        if index is None or tensor is None:
            return
        rows = as_rows(tensor, self.num_samples)
        # A mask may come before the signal: what enters is the first that has the shape of what leaves.
        before = next((before for before in self.before.pop(index, []) if before.shape == tensor.shape), None)
        self.branch = None
        self._see(index, tensor, rows, before)
        if before is not None:
            passes = passes_on(tensor.grad_fn, before.node)
            self.sounding.put("passes", index, None if passes is None else float(passes))
            self.branch = None if passes else (index, before, rows)
        self.last, self.last_rows = tensor, (tensor._version, rows)

    def _see(self, index: int, tensor: Tensor, rows: Tensor, before: _Entered | None) -> None:
        places, floor = as_places(tensor, self.num_samples, rows), rounding_floor(tensor.dtype)
        whole = normalised_samples(tensor, rows) if tensor.ndim > 3 else None
        self.sounding.spread_floor = max(self.sounding.spread_floor, floor)
        self.sounding.put("token_spread", index, token_spread(places, floor) if places is not None and tensor.ndim == 3 else None)
        flat = None if places is None else places.flatten(0, 1)
        self.measurer.see(Seen(index, rows, floor, None if before is None else before.rows, flat, whole))

    def _look_between(self, index: int, tensor: Tensor, rows: Tensor) -> None:
        """Measure a stream that is added up outside of the blocks, as in x = x + block(x), where it enters the next one."""
        branch, self.branch = self.branch, None
        if branch is None or branch[0] != index or tensor is self.last:
            return
        _, before, added = branch
        if before.shape != tensor.shape or not passes_on(tensor.grad_fn, before.node) or not second_moment(added) > 0:
            return
        self.outside[index] = kept_share(added, rows - before.rows)
        self.sounding.put("passes", index, 1.0)
        self._see(index, tensor, rows, before)

    def _look_behind(self) -> None:
        """Add the last branch to its stream, as it was done for the one before it."""
        if self.branch is None or self.branch[0] - 1 not in self.outside:
            return
        index, before, added = self.branch
        self.outside[index] = self.outside[index - 1]
        rows, floor = before.rows + self.outside[index] * added, self.sounding.spread_floor
        self.sounding.put("passes", index, 1.0)
        self.measurer.see(Seen(index, rows, floor, before.rows))
        self.measurer.settle()
        for column in ("token_spread", "normalised"):
            self.sounding.put(column, index, None)

    def gradient(self, call: Call, gradient: Tensor) -> None:
        index = self.at_leave.get((call.name, call.index))
        if index is not None and self.unit is not None:
            self.measurer.see_gradient(index, as_rows(gradient, self.num_samples), self.unit)

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
        self._look_behind()
        self.measurer.settle()
        self.sounding.streams_outside = len(self.outside)
        for index, norms in self.batch_norms.items():
            if index is not None:
                self.sounding.put("batch_norm", index, min(norms / max(self.layers[index], 1), 1.0))
