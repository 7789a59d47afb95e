"""One piece of work: the runs of a chunk, here or in another process."""

import pickle
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any
from warnings import warn

import torch

from fathometer.errors import BatchError, FathometerError
from fathometer.records import Record
from fathometer.runs.chunks import AnyRun
from fathometer.runs.probe import is_stack_faster
from fathometer.runs.run import train
from fathometer.runs.stacked_data import source_of
from fathometer.runs.stacked_run import StackedRun
from fathometer.spec import Mlp

Tick = Callable[[tuple[int, ...], int], object]  # the places of some runs, and how many steps each of them has done


@dataclass(frozen=True)
class Work:
    """Some runs with their places among all, the data they read, and how they train."""

    places: tuple[int, ...]
    runs: tuple[AnyRun, ...]
    data: Any
    stack: str
    device: torch.device = field(default_factory=lambda: torch.empty(0).device)  # where and in which numbers torch builds here:
    dtype: torch.dtype = field(default_factory=torch.get_default_dtype)  # a worker builds as its caller would


@dataclass(frozen=True)
class Failed:
    """Why a run has no record."""

    reason: str


Result = tuple[int, Record | Failed]


def results(work: Work, tick: Tick = lambda places, step: None) -> Iterator[Result]:
    """Yield the place and the record of each run as it is finished; a run that fails gives its reason, and stops no other.

    Where a stack fails, its runs train alone: the one that is to blame will say so again. Warns if none does.
    """
    problem = None
    if len(work.runs) > 1:
        try:
            records = _together(work, tick)
        except Exception as met:  # whatever it is
            problem, records = met, None
        if records is not None:
            yield from zip(work.places, records, strict=True)
            return
    is_found = problem is None
    for place, run in zip(work.places, work.runs, strict=True):
        result = _alone(place, run, work.data, tick)
        is_found = is_found or isinstance(result, Failed)
        yield place, result
    if not is_found:
        warn(f"Runs failed as a stack, and not alone; they are done, but slower: {problem!r}", stacklevel=2)


def _together(work: Work, tick: Tick) -> tuple[Record, ...] | None:
    """Return the records of runs trained as a stack; None where it would be slower."""
    source = source_of(work.data)
    runs = [(spec, asked) for spec, asked in work.runs if isinstance(spec, Mlp)]
    assert source is not None, "runs are stacked only where the data allow it"
    assert len(runs) == len(work.runs), "only MLPs are stacked"
    stack = StackedRun(runs, source)
    if work.stack == "auto" and not is_stack_faster(stack, source):
        return None
    while not stack.is_over:
        stack.advance()
        tick(work.places, stack.step)
    stack.judge()
    return stack.records()


def _alone(place: int, run: AnyRun, data: Any, tick: Tick) -> Record | Failed:
    try:
        return train(*run, data=data, progress=lambda step, total, loss: tick((place,), step)).record
    except Exception as problem:  # reported with the others at the end
        return Failed(str(problem) if isinstance(problem, FathometerError) else f"{type(problem).__name__}: {problem}")


def pack(work: Work) -> bytes:
    """Return work as bytes that another process can read; raise `BatchError` for data that cannot be sent."""
    try:
        return pickle.dumps(work)
    except Exception as problem:  # pickle raises what it likes
        raise BatchError(
            f"The runs or their data cannot be sent to another process: {problem}",
            "An executor's workers get copies",
            "Give a data set or tensors, or classes and functions that a module defines",
        ) from None


def unpack_and_work(packed: bytes) -> list[Result]:
    """Do packed work, in a worker."""
    work, before = pickle.loads(packed), torch.get_default_dtype()
    torch.set_default_dtype(work.dtype)
    # A device in a `with` costs each call of torch some microseconds, so there is none without need.
    place = nullcontext() if work.device == torch.empty(0).device else work.device
    try:
        with place:
            return list(results(work))
    finally:
        torch.set_default_dtype(before)
