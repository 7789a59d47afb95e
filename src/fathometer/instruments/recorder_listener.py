"""What is heard in a measured step: sampled on the spot, counted later."""

from collections import Counter
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fathometer.contract import batch_size, main_tensor, tensors_in
from fathometer.instruments.activity import FLAT_BEYOND, MIN_SAMPLES, activation_hearers
from fathometer.instruments.attention import Scores, score_hearers
from fathometer.instruments.depth_points import DepthPoints
from fathometer.instruments.recorder_price import Price
from fathometer.instruments.recorder_sample import row_sample, unit_sample
from fathometer.instruments.taps import Hearer

MOST_PASSES = 8  # parts of an accumulated batch that are looked at
SMALL = 2**16  # of a tensor of so few numbers a view is kept to the end of the step; of a larger one a copy of the sample
HALF = torch.float16
Slot = tuple[str, int]  # a module, and which of its calls in one pass
Taken = list[Tensor]


class RecorderListener:
    """Samples of what leaves some calls, of the gradients there, and of what is heard inside blocks, for one step.

    `wanted` are the calls; None takes all, which is done once, before the depth points are known. Only passes that train
    are listened to: with gradients on, in train mode, and not those that run a checkpointed block again. A sample is a view
    where the tensor is small, and a copy where it is large or was once found to be written to later in the step.
    """

    def __init__(self, price: Price, points: DepthPoints | None) -> None:
        self.price = price
        self.overwritten = set[Slot]()
        self.use(points)
        self.clear()

    def use(self, points: DepthPoints | None) -> None:
        """Listen to these depth points from now on."""
        listed = () if points is None else points.points
        self.wanted = None if points is None else {(one.leave, one.stop) for one in listed}
        self.enters = {(one.enter, one.start): index for index, one in enumerate(listed)}

    def clear(self) -> None:
        """Forget the last step."""
        self.signals: dict[Slot, Taken] = {}
        self.gradients: dict[Slot, Taken] = {}
        self.peaks: dict[Slot, Tensor] = {}
        self.activations: dict[tuple[int, str], Taken] = {}
        self.scores: dict[int, Taken] = {}
        self.versions: list[tuple[Slot, Tensor, int]] = []
        self.passes, self.is_open, self.batch_size = 0, False, 0
        self.current: int | None = None
        self.left: Counter[str] = Counter()
        self.entered: Counter[str] = Counter()

    def begin(self, is_training: bool, inputs: Any) -> None:
        """Open a pass of the whole model."""
        self.is_open = is_training and torch.is_grad_enabled() and self.passes < MOST_PASSES
        self.current = None
        self.left.clear()
        self.entered.clear()
        if self.is_open and any(True for _ in tensors_in(inputs)):
            self.batch_size = batch_size(inputs)

    def end(self) -> None:
        """Close it, and see that nothing that was taken by view has been written to."""
        if self.is_open:
            self.passes += 1
        self.is_open = False
        self._drop_overwritten()

    def enter(self, name: str) -> None:
        """Note that a block has begun."""
        if self.is_open:
            self.current = self.enters.get((name, self.entered[name]), self.current)
            self.entered[name] += 1

    def leave(self, name: str, output: Any) -> None:
        """Take some of what leaves a module, if it is wanted, and wait for its gradient."""
        if not self.is_open:
            return
        slot = (name, self.left[name])
        self.left[name] += 1
        if self.wanted is not None and slot not in self.wanted:
            return
        tensor = output if isinstance(output, Tensor) else main_tensor(output)
        if tensor is None or not tensor.is_floating_point() or not tensor.numel():
            return
        with torch._C.DisableTorchFunction():  # no ear needs to hear this
            plain = tensor.detach()
            self.signals.setdefault(slot, []).append(self._rows(plain, slot))
            if plain.numel() <= SMALL:
                self.versions.append((slot, plain, plain._version))
            if tensor.dtype == HALF:
                peak = plain.abs().amax().float()
                self.peaks[slot] = torch.maximum(self.peaks[slot], peak) if slot in self.peaks else peak
            if tensor.grad_fn is not None:  # a hook there is ten times cheaper than one on the tensor
                tensor.grad_fn.register_prehook(partial(self._gradient, self.gradients, slot, tensor.output_nr))

    def _rows(self, tensor: Tensor, slot: Slot) -> Tensor:
        view = row_sample(tensor, self.price.rows, self.price.numbers, self.batch_size)
        return view.clone() if tensor.numel() > SMALL or slot in self.overwritten else view

    def _gradient(self, into: dict[Slot, Taken], slot: Slot, place: int, gradients: tuple[Tensor | None, ...]) -> None:
        gradient = gradients[place]
        if gradient is not None:
            into.setdefault(slot, []).append(self._rows(gradient, slot))

    def _drop_overwritten(self) -> None:
        """Forget samples that something has written to since; the next time they are copied on the spot."""
        for slot, tensor, version in self.versions:
            if tensor._version != version:
                self.overwritten.add(slot)
                self.signals.pop(slot, None)
                self.activations.pop((-1 - slot[1], slot[0]), None)
        self.versions.clear()

    def hearers(self) -> dict[Any, Hearer]:
        """Return what is heard inside blocks, function by function."""
        return {**activation_hearers(self._activation), **score_hearers(self._attention, None, self.price.score_rows)}

    def _activation(self, name: str, inputs: Tensor) -> None:
        is_known = name == "relu" or name in FLAT_BEYOND
        if self.is_open and self.current is not None and is_known and inputs.ndim > 1 and inputs.numel():
            slot, taken = (name, -1 - self.current), unit_sample(inputs, max(self.price.rows, MIN_SAMPLES), self.price.numbers)
            if inputs.numel() > SMALL or slot in self.overwritten:
                taken = taken.clone()
            else:
                self.versions.append((slot, inputs, inputs._version))
            self.activations.setdefault((self.current, name), []).append(taken)

    def _attention(self, scores: Scores) -> None:
        if self.is_open and self.current is not None:
            self.scores.setdefault(self.current, []).append(scores)
