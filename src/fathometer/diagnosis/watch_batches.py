"""Were it the data or the weights? Asked when a loss has jumped."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import LossFunction, batch_size, call, known_targets, loss_of, split_batch, tensors_in
from fathometer.diagnosis.watch_losses import Jump
from fathometer.instruments.keep import generator_states, restore_generators
from fathometer.instruments.recorder_sample import flat_sample

NUMBERS = 2048  # of the inputs of a batch
KEPT, FEWEST = 48, 8  # batches that one is held against
POSTED = 16  # batches that are kept, at most, whose losses are still on their way from the device
DEVIATIONS, NOISE = 6.0, 0.05  # beyond which inputs are unlike the others; log units that are always noise
AS_BEFORE = 0.5  # of the way, in logs, from the usual loss to the one that jumped: below it the weights are well


class BatchHistory:
    """What the inputs of the last batches were like, and the last batch itself, so that a jump can be laid at a door.

    For each batch four numbers of a sample are made and stay on the device; they are read when a loss has jumped. A loss may
    arrive some steps late: a batch is posted with its step, and is the last one once the loss of that step is noted.
    """

    def __init__(self) -> None:
        self.previous: tuple[Any, float] | None = None
        self._before: tuple[Any, float] | None = None
        self._seen = deque[Tensor](maxlen=KEPT)
        self._posted: dict[int, tuple[Any, Tensor | None]] = {}  # by step: the batch, and what it is like

    @torch.no_grad()
    def post(self, step: int, batch: Any) -> None:
        """Keep the batch of a step until its loss has arrived."""
        self._posted[step] = batch, _likeness_of(batch)
        if len(self._posted) > POSTED:
            del self._posted[next(iter(self._posted))]

    def note(self, step: int, loss: float) -> bool:
        """Note the loss of a step, and return whether its batch is known, which is then the last one."""
        if step not in self._posted:
            return False
        batch, likeness = self._posted.pop(step)
        self.previous, self._before = self._before, (batch, loss)
        if likeness is not None:
            self._seen.append(likeness)
        return True

    @property
    def is_odd(self) -> bool:
        """Return whether the inputs of the last batch are unlike those of the ones before it."""
        if len(self._seen) <= FEWEST:
            return False
        rows = torch.stack(list(self._seen)).tolist()
        *past, last = rows
        return any(_is_odd([row[place] for row in past], last[place]) for place in range(len(last)))

    def weights_are_well(self, model: nn.Module, loss_fn: LossFunction | None, jump: Jump) -> bool | None:
        """Return whether the batch before has, with the weights as they are now, about the loss it had; None if not known."""
        if self.previous is None or not isfinite(jump.loss):
            return None
        batch, _ = self.previous
        try:
            inputs, targets = split_batch(batch)
            if batch_size(inputs) < 1:
                return None
            with torch.no_grad(), _buffers_kept(model):
                loss = loss_of(call(model, inputs), known_targets(inputs, targets), loss_fn)
        except Exception:  # what the user calls a batch is not what the model takes: no reason to lose a run
            return None
        if loss is None or not isfinite(float(loss)):
            return None if loss is None else False
        return float(loss) < jump.usual * (jump.loss / jump.usual) ** AS_BEFORE


def _likeness_of(batch: Any) -> Tensor | None:
    try:
        inputs, _ = split_batch(batch)
        return next((_likeness(tensor) for _, tensor in tensors_in(inputs) if tensor.numel()), None)
    except Exception:  # it holds no tensor, or none that can be sampled, as a sparse one: no reason to lose a run
        return None


def _likeness(tensor: Tensor) -> Tensor:
    """Return four numbers of some inputs, in logs: mean size, largest size, spread, and how far the mean is off 0."""
    some = flat_sample(tensor.detach(), NUMBERS).float()
    sizes = torch.stack([some.square().mean(), some.abs().amax().square(), some.var(correction=0), some.mean().square()])
    return sizes.clamp(min=1e-12).log()


def _is_odd(past: list[float], last: float) -> bool:
    if not isfinite(last):
        return True
    middle = median(past)
    spread = 1.4826 * median(abs(value - middle) for value in past)
    return abs(last - middle) > DEVIATIONS * max(spread, NOISE)


@contextmanager
def _buffers_kept(model: nn.Module) -> Iterator[None]:
    """Give buffers (statistics of a BatchNorm) and generators back as they were; weights and gradients are not touched."""
    states, kept = generator_states(), [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        restore_generators(states)
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)
