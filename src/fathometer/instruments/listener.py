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
from fathometer.instruments.passing import passes_on
from fathometer.instruments.sounded import Sounding
from fathometer.instruments.taps import Call, Hearer

NORMALISED = 0.9  # from this share on the output of a block counts as normalised; without a norm it stays under 0.7
STREAM = 0.3  # a block that shares more with its input passes it on


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
        self.sounding, self.num_samples = sounding, num_samples
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
        rows, floor = as_rows(tensor, self.num_samples), rounding_floor(tensor.dtype)
        self._measure(index, rows, floor)
        self._look_at_places(index, tensor, rows, floor)
        # A mask may come before the signal: what enters is the first that has the shape of what leaves.
        before = next((before for before in self.before.pop(index, []) if before.shape == tensor.shape), None)
        self.branch = None
        if before is not None:
            passes = passes_on(tensor.grad_fn, before.node)
            self.sounding.put("passes", index, None if passes is None else float(passes))
            self._compare(index, before.rows, rows, floor)
            self.branch = None if passes else (index, before, rows)
        self.last, self.last_rows = tensor, (tensor._version, rows)

    def _measure(self, index: int, rows: Tensor, floor: float) -> None:
        distance = spread(rows, floor)
        self.sounding.spread_floor = max(self.sounding.spread_floor, floor)
        self.sounding.put("signal", index, second_moment(rows))
        self.sounding.put("correlation", index, None if distance is None else 1 - distance)
        self.sounding.put("spread", index, distance)
        self.sounding.put("rank", index, effective_rank(rows, floor))

    def _look_between(self, index: int, tensor: Tensor, rows: Tensor) -> None:
        """Measure a stream that is added up outside of the blocks, as in x = x + block(x), where it enters the next one."""
        branch, self.branch = self.branch, None
        if branch is None or branch[0] != index or tensor is self.last:
            return
        _, before, added = branch
        if before.shape != tensor.shape or not passes_on(tensor.grad_fn, before.node) or not second_moment(added) > 0:
            return
        self.outside[index] = kept_share(added, rows - before.rows)
        floor = rounding_floor(tensor.dtype)
        self.sounding.put("passes", index, 1.0)
        self._measure(index, rows, floor)
        self._look_at_places(index, tensor, rows, floor)
        self._compare(index, before.rows, rows, floor)

    def _look_behind(self) -> None:
        """Add the last branch to its stream, as it was done for the one before it."""
        if self.branch is None or self.branch[0] - 1 not in self.outside:
            return
        index, before, added = self.branch
        self.outside[index] = self.outside[index - 1]
        rows, floor = before.rows + self.outside[index] * added, self.sounding.spread_floor
        self.sounding.put("passes", index, 1.0)
        self._measure(index, rows, floor)
        self._compare(index, before.rows, rows, floor)
        for column in ("token_spread", "normalised"):
            self.sounding.put(column, index, None)

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
        self._look_behind()
        self.sounding.streams_outside = len(self.outside)
        for index, norms in self.batch_norms.items():
            if index is not None:
                self.sounding.put("batch_norm", index, min(norms / max(self.layers[index], 1), 1.0))
