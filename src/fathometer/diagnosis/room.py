"""A network that cannot be looked at for want of memory: what would fit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace

from fathometer.contract import take_samples
from fathometer.diagnosis.case import Case
from fathometer.memory import Way, explained, halves, in_words, ran_out
from fathometer.records import Asked
from fathometer.training import fit

FEWEST = 2  # samples: their verdict is that of sixty-four but for a few networks next to a limit


@contextmanager
def within_memory(case: Case, look: Callable[[Case], object]) -> Iterator[None]:
    """Turn memory that runs out into an `OutOfMemoryError` that says how many samples fit, each number tried by looking."""
    try:
        yield
    except Exception as problem:
        if not ran_out(problem):
            raise
        count = sum(parameter.numel() for parameter in case.model.parameters())
        doing = f"while a network of {count:,} parameters was looked at, on a batch of {case.num_samples}"
        weights = sum(parameter.numel() * parameter.element_size() for parameter in case.model.parameters())
        otherwise = f"Its weights and gradients take {in_words(2 * weights)}: take a smaller one, or a spec with --full-size"
        raise explained(problem, doing, _ways(case, look), otherwise) from None


def one_step(case: Case) -> object:
    """Train a copy for a step, as `mend` does beside another copy."""
    copies = deepcopy(case.model), deepcopy(case.model)
    return fit(copies[0], [case.batch], Asked(steps=1), loss_fn=case.loss_fn)


def _ways(case: Case, look: Callable[[Case], object]) -> Iterator[Way]:
    for count in halves(case.num_samples):
        if count < FEWEST:
            return
        inputs, targets = take_samples(case.batch, slice(0, count))
        less = replace(case, inputs=inputs, targets=targets)
        yield f"the first {count} of its {case.num_samples} samples", lambda less=less: look(less)
