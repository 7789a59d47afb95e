"""Work handed to the workers of an executor, and their results."""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import torch

from fathometer.errors import SpecError, TargetError
from fathometer.runs.work import Failed, Result, Work, pack, unpack_and_work

T = TypeVar("T")
R = TypeVar("R")
GUARD = 'a script needs `if __name__ == "__main__":` around what starts the workers'


def local_pool(workers: int | None = None) -> ProcessPoolExecutor:
    """Return an executor of new Python processes on this machine, one torch thread each; as many as it has cores if None.

    Use it in a `with` block. A worker takes some seconds to start, for it imports torch.

    Raises `TargetError` where the main module cannot be read again by a new process, `SpecError` for fewer than one worker.
    """
    if workers is not None and workers < 1:
        raise SpecError(f"`workers` is {workers}", "It must be a whole number of at least 1", "Try 2")
    main = getattr(sys.modules["__main__"], "__file__", None)
    if main is not None and not Path(main).exists():
        raise TargetError(
            f'The main module is "{main}", which a new process cannot read',
            "Workers begin by importing the main module",
            "Save it as a file and run that, or leave `executor` out",
        )
    return ProcessPoolExecutor(workers or _cores(), mp_context=get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """Make a new process a worker: one thread, and Ctrl-C is for who has asked for the work."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def hand_out(work: Sequence[Work], executor: Executor) -> Iterator[Result]:
    """Yield the results of all work, each piece when its worker is done; what a worker that died had to do is a failure.

    Work that no worker has begun is called off when the caller stops listening.
    """
    starts = ((piece, partial(executor.submit, unpack_and_work, pack(piece))) for piece in work)
    for found in as_they_come(starts, _lost):
        yield from found


def as_they_come(starts: Iterable[tuple[T, Callable[[], Future[R]]]], lost: Callable[[T, Exception], R]) -> Iterator[R]:
    """Start each piece of work, and yield what comes of it when it is done, or what it is if the executor lost it.

    Pieces that no worker has begun are called off when the caller stops listening.
    """
    futures: dict[Future[R], T] = {}
    try:
        for piece, start in starts:
            try:
                futures[start()] = piece
            except RuntimeError as problem:  # a pool that is broken or shut down takes no work
                yield lost(piece, problem)
        for future in as_completed(futures):
            try:
                found = future.result()
            except Exception as problem:  # the executor's own, for work that fails is a result
                found = lost(futures[future], problem)
            yield found
    finally:
        for future in futures:
            future.cancel()


def _lost(work: Work, problem: Exception) -> list[Result]:
    reason = f"the executor lost it: {type(problem).__name__}: {problem}"
    if isinstance(problem, BrokenExecutor):
        reason = f"a worker ended before its work. It may have run out of memory, or could not start: {GUARD}"
    return [(place, Failed(reason)) for place in work.places]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
