"""What is heard in a measured step: sampled on the spot, counted later."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from fathometer.contract import batch_size, main_tensor, tensors_in
from fathometer.instruments.activity import FLAT_BEYOND, MIN_SAMPLES, activation_hearers
from fathometer.instruments.attention import Scores, score_hearers
from fathometer.instruments.depth_points import DepthPoints
from fathometer.instruments.recorder_price import Price
from fathometer.instruments.recorder_sample import WHOLE, row_sample, unit_sample
from fathometer.instruments.taps import Hearer

MOST_PASSES = 8  # parts of an accumulated batch that are looked at
SMALL = 2**16  # of a tensor of so few numbers a view is kept to the end of the step; of a larger one a copy of the sample
HALF = torch.float16
Slot = tuple[str, int]  # a module, and which of its calls in one pass
Taken = list[Tensor]


class RecorderListener:
    """Samples of what leaves some calls, of the gradients there, and of what is heard inside blocks, for one step.

    `wanted` are the calls; None takes all, which is done once, before the depth points are known. Only passes that train
    are listened to: with gradients on, in train mode, and not those that run a checkpointed block again. A small tensor is
    kept to the end of the pass and sampled by view, its gradient to the end of the step; a large one, and one that was once
    found to be written to in between, is sampled by copy on the spot.
    """

    def __init__(self, price: Price, points: DepthPoints | None) -> None:
        self.price = price
        self.overwritten = set[Slot]()
        self.use(points)
        self.clear()

    def use(self, points: DepthPoints | None) -> None:
        """Listen to these depth points from now on."""
        listed = () if points is None else points.points
        self.wanted = None if points is None else {(one.leave, one.stop): index for index, one in enumerate(listed)}
        self.enters = {(one.enter, one.start): index for index, one in enumerate(listed)}
        # Layers and their activations in a row, as (Linear, ReLU), need not be told that they begin.
        self.is_row = bool(listed) and all(len(one.members) > 1 for one in listed)

    def clear(self) -> None:
        """Forget the last step."""
        self.signals: dict[Slot, Taken] = {}  # samples
        self.gradients: dict[Slot, Taken] = {}
        # Small signals and gradients by place along depth, which are sampled when they are counted.
        self.whole_signals: dict[int, Taken] = {}
        self.whole_gradients: dict[int, Taken] = {}
        self.peaks: dict[Slot, Tensor] = {}
        self.activations: dict[tuple[int, str], Taken] = {}
        self.scores: dict[int, Taken] = {}
        self._kept: list[tuple[Slot, int, Tensor, int]] = []
        self._given: list[tuple[tuple[int, str], Tensor, int]] = []
        self._retained: list[tuple[Slot, int, Tensor]] = []
        self.passes, self.is_open, self.batch_size = 0, False, 0
        self.current: int | None = None
        self.left: dict[str, int] = {}
        self.entered: dict[str, int] = {}

    def begin(self, is_training: bool, inputs: Any) -> None:
        """Open a pass of the whole model."""
        self.is_open = is_training and torch.is_grad_enabled() and self.passes < MOST_PASSES
        self.current = 0 if self.is_row else None
        self.left.clear()
        self.entered.clear()
        if self.is_open and any(True for _ in tensors_in(inputs)):
            self.batch_size = batch_size(inputs)

    def end(self) -> None:
        """Close it, and sample what was kept, unless something has written to it since."""
        self.passes += self.is_open
        self.is_open = False
        for slot, place, tensor, version in self._kept:
            if tensor._version != version:
                self.overwritten.add(slot)
                continue
            self._put(self.signals, self.whole_signals, slot, place, tensor)
            if tensor.grad_fn is not None:
                tensor.retain_grad()  # thirty times cheaper than a hook
                self._retained.append((slot, place, tensor))
        for (place, name), inputs, version in self._given:
            if inputs._version == version:
                self.activations.setdefault((place, name), []).append(self._units(inputs))
            else:
                self.overwritten.add((name, -1 - place))
        self._kept.clear()
        self._given.clear()

    def collect(self) -> None:
        """Sample the gradients that have arrived at what was kept, and let it go."""
        for slot, place, tensor in self._retained:
            gradient, tensor.grad = tensor.grad, None
            if gradient is not None:
                self._put(self.gradients, self.whole_gradients, slot, place, gradient)
        self._retained.clear()

    def _put(self, sampled: dict[Slot, Taken], whole: dict[int, Taken], slot: Slot, place: int, tensor: Tensor) -> None:
        """Keep a small tensor as it is, and a view of some of a larger one; all parts of a batch in the same way."""
        if tensor.numel() <= WHOLE and slot not in sampled:
            whole.setdefault(place, []).append(tensor)
        else:
            earlier = [self._rows(part) for part in whole.pop(place, ())]
            sampled.setdefault(slot, earlier).append(self._rows(tensor))

    def enter(self, name: str) -> None:
        """Note that a block has begun."""
        if self.is_open:
            index = self.entered.get(name, 0)
            self.entered[name] = index + 1
            self.current = self.enters.get((name, index), self.current)

    def leave(self, name: str, output: Any) -> None:
        """Keep what leaves a module, if it is wanted, or take some of it."""
        if not self.is_open:
            return
        index = self.left.get(name, 0)
        self.left[name] = index + 1
        slot, place = (name, index), None
        if self.wanted is not None:
            place = self.wanted.get(slot)
            if place is None:
                return
            if self.is_row:
                self.current = place + 1
        tensor = output if type(output) is Tensor else main_tensor(output)
        if tensor is None:
            return
        with torch._C.DisableTorchFunction():  # no ear needs to hear this
            # Where all are taken, once, keeping them and their gradients would be the most memory that the run ever holds.
            is_small = tensor.numel() <= SMALL and tensor.dtype != HALF
            if place is not None and is_small and slot not in self.overwritten:
                self._kept.append((slot, place, tensor, tensor._version))
            else:
                self._take(slot, tensor)

    def _take(self, slot: Slot, tensor: Tensor) -> None:
        plain = tensor.detach()
        if not plain.is_floating_point() or not plain.numel():
            return
        self.signals.setdefault(slot, []).append(self._rows(plain).clone())
        if tensor.dtype == HALF:
            peak = plain.abs().amax().float()
            self.peaks[slot] = torch.maximum(self.peaks[slot], peak) if slot in self.peaks else peak
        if tensor.grad_fn is not None:  # a hook there is ten times cheaper than one on the tensor
            tensor.grad_fn.register_prehook(partial(self._gradient, self.gradients, slot, tensor.output_nr))

    def _gradient(self, into: dict[Slot, Taken], slot: Slot, place: int, gradients: tuple[Tensor | None, ...]) -> None:
        gradient = gradients[place]
        if gradient is not None:
            into.setdefault(slot, []).append(self._rows(gradient).clone())

    def _rows(self, tensor: Tensor) -> Tensor:
        return row_sample(tensor, self.price.rows, self.price.numbers, self.batch_size)

    def _units(self, tensor: Tensor) -> Tensor:
        return unit_sample(tensor, max(2 * self.price.rows, MIN_SAMPLES), 4 * self.price.numbers)  # a rare unit is not dead

    def hearers(self) -> dict[Any, Hearer]:
        """Return what is heard inside blocks, function by function."""
        return {**activation_hearers(self._activation), **score_hearers(self._attention, None, self.price.score_rows)}

    def _activation(self, name: str, inputs: Tensor) -> None:
        place = self.current
        if (
            not self.is_open
            or place is None
            or not (name == "relu" or name in FLAT_BEYOND)
            or inputs.ndim < 2
            or not inputs.numel()
        ):
            return
        if inputs.numel() <= SMALL and (name, -1 - place) not in self.overwritten:
            self._given.append(((place, name), inputs, inputs._version))
        else:
            self.activations.setdefault((place, name), []).append(self._units(inputs).clone())

    def _attention(self, scores: Scores) -> None:
        if self.is_open and self.current is not None:
            self.scores.setdefault(self.current, []).append(scores)
