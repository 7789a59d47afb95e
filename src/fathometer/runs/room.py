"""A run that has run out of memory: what would fit, tried step by step."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from fathometer.contract import LossFunction, batch_size, split_batch
from fathometer.memory import Way, explained, free_bytes, halves, in_words, ran_out
from fathometer.records import Asked
from fathometer.training import Course, go_on
from fathometer.training.parallel import world

# Of each parameter: its weight, its gradient, the optimizer's own; SGD's momentum comes on top.
NUMBERS = {"adam": 4, "adamw": 4, "sgd": 2, "muon": 3}
NUMBER_BYTES = 4


@contextmanager
def within_memory(
    course: Course, batches: Iterable[Any], loss_fn: LossFunction | None = None
) -> Iterator[Callable[[], Iterator[Any]]]:
    """Hand out the batches of a run; turn memory that runs out meanwhile into an `OutOfMemoryError` that says what would fit.

    What it says was tried: two steps with the same batch in more and more parts (`accumulate`), then with its activations made
    twice (`checkpointing`). The run is over by then, so nothing depends on what these steps do to its network.
    """
    last: list[Any] = [None]

    def noted() -> Iterator[Any]:
        for last[0] in batches:
            yield last[0]

    try:
        yield noted
    except (RuntimeError, MemoryError) as problem:
        if not ran_out(problem):
            raise
        doing = f"in step {course.step + 1}, on a batch of {_size(last[0])}"
        course.optimizer.zero_grad()
        course.optimizer.state.clear()
        raise explained(problem, doing, _ways(course, last[0], loss_fn), _otherwise(course)) from None


def _ways(course: Course, batch: Any, loss_fn: LossFunction | None) -> Iterator[Way]:
    """Yield what could be asked instead, what costs least first; several processes would have to try as one, and do not."""
    asked, size = course.asked, _size(batch)
    if world() > 1 or size < 1:
        return
    splits = [-(-size // part) for part in halves(size) if -(-size // part) > asked.accumulate]
    for count in splits:
        words = f"accumulate = {count} in [training], which trains the same in parts of {-(-size // count)}; in another folder"
        yield words, _step(course, replace(asked, accumulate=count), batch, loss_fn)
    if asked.checkpointing is None:
        most = splits[-1] if splits else asked.accumulate
        words = f'checkpointing = "sqrt" with accumulate = {most} in [training], which trains the same, slower; in another folder'
        yield words, _step(course, replace(asked, accumulate=most, checkpointing="sqrt"), batch, loss_fn)


def _step(course: Course, asked: Asked, batch: Any, loss_fn: LossFunction | None) -> Callable[[], object]:
    def attempt() -> object:
        course.optimizer.zero_grad()
        course.optimizer.state.clear()
        twice = replace(course, asked=replace(asked, steps=course.step + 2), losses=list(course.losses))
        return go_on(twice, [batch, batch], loss_fn=loss_fn)  # from the second on the optimizer's numbers are there as well

    return attempt


def _otherwise(course: Course) -> str:
    """Return how many parameters would fit, where no part of a batch does."""
    weights, free = sum(parameter.numel() for parameter in course.parameters), free_bytes()
    optimizer, has_momentum = course.asked.optimizer, course.asked.optimizer == "sgd" and course.asked.momentum > 0
    each = NUMBER_BYTES * (NUMBERS[optimizer] + has_momentum)
    told = f"Its {weights:,} parameters take {in_words(each * weights)} with {optimizer}{' and momentum' if has_momentum else ''}"
    if free is None:
        return f"{told}: take a smaller network"
    most = (free + NUMBER_BYTES * weights) // each
    if most > weights:
        return f"{told}; it is the activations that do not fit: take a network less deep or wide, or a shorter context"
    smaller = f"{told}: take a network of at most {most:,}"
    if optimizer == "sgd" and not has_momentum:
        return smaller
    return f"{smaller}, or sgd{' without momentum' if has_momentum else ''}, which keeps nothing of its own"


def _size(batch: Any) -> int:
    return 0 if batch is None else batch_size(split_batch(batch)[0])
