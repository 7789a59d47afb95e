"""One training loop for any module and any batches, with observers."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from time import perf_counter
from typing import Any

from torch import nn

from fathometer.contract import LossFunction
from fathometer.errors import BatchError
from fathometer.parametrizations import Scale
from fathometer.records import Asked, Status
from fathometer.training.batch import device_of, move
from fathometer.training.compiling import compiling
from fathometer.training.course import Course, begin
from fathometer.training.recompute import recomputing
from fathometer.training.step import NotFinite, Observer, take_step

OnNonfinite = Callable[[int, nn.Module, Any], object]
OnStep = Callable[[int, float], object]
_STATUS: dict[NotFinite | None, Status] = {
    None: "finished",
    "loss": "stopped: loss is not finite",
    "gradient": "stopped: gradient is not finite",
    "weight": "stopped: weight is not finite",
}


@dataclass(frozen=True)
class Fit:
    """What came of the steps: the finite losses, the step (from 1) that was not taken, and the time of all steps."""

    losses: tuple[float, ...]
    stopped_at: int | None
    seconds: float
    status: Status = "finished"


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
    that is not finite ends the run before its backward pass and optimizer step, with the weights as they were; so does a
    gradient, where its norm is known (see `take_step`): `on_nonfinite` is called with (step, model, batch). `on_step` is
    called with (step, loss) after each step; where it returns "weight", one is not finite, and the run ends. So it does where
    an observer has a true attribute `should_stop`, as a watch may.
    """
    course = begin(model, asked, scales)
    return go_on(course, batches, loss_fn=loss_fn, observers=observers, on_nonfinite=on_nonfinite, on_step=on_step)


def go_on(
    course: Course,
    batches: Iterable[Any],
    *,
    loss_fn: LossFunction | None = None,
    observers: Sequence[Observer] = (),
    on_nonfinite: OnNonfinite | None = None,
    on_step: OnStep | None = None,
) -> Fit:
    """Train on from where a course stands to its last step, as `fit` does; the batches begin with that of the next step."""
    start, stop = perf_counter() - course.seconds, None
    stream = islice(endless(batches), course.asked.steps - course.step)
    course.model.train()
    with _prepared(course, stream, loss_fn) as ready:
        for batch in ready:
            stop = take_step(course, batch, loss_fn, observers)
            course.seconds = perf_counter() - start
            if stop is not None:
                if on_nonfinite is not None:
                    on_nonfinite(course.step + 1, course.model, batch)
                break
            if on_step is not None and on_step(course.step, course.losses[-1]) == "weight":
                stop = "weight"
                break
            if any(getattr(observer, "should_stop", False) for observer in observers):
                return Fit(tuple(course.losses), None, course.seconds, "stopped: an observer asked")
    return Fit(tuple(course.losses), None if stop is None else course.step + 1, course.seconds, _STATUS[stop])


@contextmanager
def _prepared(course: Course, stream: Iterator[Any], loss_fn: LossFunction | None) -> Iterator[Iterator[Any]]:
    """Hand out the batches on the model's device, while its blocks are compiled or recomputed as asked."""
    asked, device = course.asked, device_of(course.model)
    ready = (move(batch, device) for batch in stream)
    sample = next(ready, None) if asked.checkpointing == "sqrt" else None
    begun = ready if sample is None else chain([sample], ready)
    with compiling(course.model, asked.compile), recomputing(course.model, asked.checkpointing, sample, loss_fn=loss_fn):
        yield begun


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
