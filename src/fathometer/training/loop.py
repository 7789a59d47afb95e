"""One training loop for any module and any batches, with observers."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import LossFunction
from fathometer.errors import BatchError
from fathometer.parametrizations import Scale
from fathometer.records import Asked
from fathometer.training.batch import answer, device_of, move
from fathometer.training.optimizers import make_optimizer
from fathometer.training.schedules import make_scheduler

Observer = Callable[[int, nn.Module, Tensor], object]
OnNonfinite = Callable[[int, nn.Module, Any], object]
OnStep = Callable[[int, float], object]


@dataclass(frozen=True)
class Fit:
    """What came of the steps: the finite losses, the step (from 1) of the first loss that was not, and the time."""

    losses: tuple[float, ...]
    stopped_at: int | None
    seconds: float


def fit(
    model: nn.Module,
    batches: Iterable[Any],
    asked: Asked,
    *,
    loss_fn: LossFunction | None = None,
    scales: Mapping[str, Scale] | None = None,
    observers: Sequence[Observer] = (),
    on_nonfinite: OnNonfinite | None = None,
    on_step: OnStep | None = None,
) -> Fit:
    """Train the model in place for `asked.steps` steps on pairs (inputs, targets), and return what came of it.

    Batches that end are begun again; tensors are moved to the model's device. `loss_fn(output, targets)` is
    cross-entropy for integer targets and mean squared error for floats where None. `scales` are the multipliers of a
    parametrization by the names of parameters: see `make_optimizer`. Steps count from 1. After each backward pass,
    before clipping, every observer is called with (step, model, loss): gradients are in the parameters. A loss
    that is not finite ends the run before its backward pass and optimizer step, with the weights as they were:
    `on_nonfinite` is called with (step, model, batch). `on_step` is called with (step, loss) after each step.
    """
    optimizer = make_optimizer(model, asked, scales)
    scheduler = make_scheduler(optimizer, asked)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    device, losses, stopped_at, start = device_of(model), list[float](), None, perf_counter()
    model.train()
    for step, batch in enumerate(islice(endless(batches), asked.steps), start=1):
        here = move(batch, device)
        _, loss = answer(model, here, loss_fn)
        value = loss.item()
        if not isfinite(value):
            stopped_at = step
            if on_nonfinite is not None:
                on_nonfinite(step, model, here)
            break
        optimizer.zero_grad()
        loss.backward()
        for observer in observers:
            observer(step, model, loss.detach())
        if asked.clip is not None:
            torch.nn.utils.clip_grad_norm_(parameters, asked.clip)
        optimizer.step()
        scheduler.step()
        losses.append(value)
        if on_step is not None:
            on_step(step, value)
    return Fit(tuple(losses), stopped_at, perf_counter() - start)


def endless(batches: Iterable[Any]) -> Iterator[Any]:
    """Yield batches for ever, from the start again whenever they end; raise `BatchError` where they cannot begin again."""
    while True:
        is_empty = True
        for batch in batches:
            is_empty = False
            yield batch
        if is_empty:
            raise BatchError(
                "The data have no more batches",
                "Training needs one for each step",
                "Give a list or a loader that can be read again, or ask for fewer `steps`",
            )
