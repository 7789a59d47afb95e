"""Tasks handed to an executor, or to processes that may die."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from functools import partial

from fathometer.errors import SpecError
from fathometer.runs import local_pool
from fathometer.runs.executors import as_they_come
from fathometer.studies.question import Cell, Row
from fathometer.studies.work import Lost, Task, in_worker

TRIES = 3  # of a task whose worker died each time, before it is given up
Result = tuple[Cell, Row | Lost]
DIED = "its worker ended {count} times before it was done; it may have run out of memory"

__all__ = ["Lost", "Task", "hand_out", "over_lanes"]


def hand_out(tasks: Sequence[Task], executor: Executor) -> Iterator[list[Result]]:
    """Yield the results of all tasks, each task when its worker is done; what the executor lost says so.

    Tasks that no worker has begun are called off when the caller stops listening.
    """
    return as_they_come(((task, partial(executor.submit, in_worker, task)) for task in tasks), _lost_by_executor)


def over_lanes(tasks: Sequence[Task], workers: int) -> Iterator[list[Result]]:
    """Yield the results of all tasks from so many processes, each a pool of its own.

    A process that dies takes nothing with it but what it was at: another is started, and does that again. In one pool of
    several, the death of one would be the end of all.
    """
    if workers < 1:
        raise SpecError(f"`workers` is {workers}", "It must be a whole number of at least 1", "Try 2")
    waiting = deque((task, 1) for task in tasks)
    idle = [local_pool(1) for _ in range(min(workers, len(tasks)))]
    busy: dict[Future[list[Result]], tuple[ProcessPoolExecutor, Task, int]] = {}
    try:
        while waiting or busy:
            while waiting and idle:
                task, attempt = waiting.popleft()
                future, pool = _begin(idle.pop(), task)
                busy[future] = (pool, task, attempt)
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                pool, task, attempt = busy.pop(future)
                try:
                    found = future.result()
                    idle.append(pool)
                except BrokenExecutor:
                    pool.shutdown(wait=False)
                    idle.append(local_pool(1))
                    found = [] if attempt < TRIES else _lost(task, DIED.format(count=attempt))
                    if attempt < TRIES:
                        waiting.appendleft((task, attempt + 1))
                if found:
                    yield found
    finally:
        for pool in [*idle, *(pool for pool, _, _ in busy.values())]:
            _end(pool)


def _end(pool: ProcessPoolExecutor) -> None:
    """End a pool and its process, also in the middle of a task: nobody waits for that any more."""
    processes = list((getattr(pool, "_processes", None) or {}).values())  # public from Python 3.14 on, as `kill_workers`
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.kill()


def _begin(pool: ProcessPoolExecutor, task: Task) -> tuple[Future[list[Result]], ProcessPoolExecutor]:
    """Give a task to a pool, or to a new one where its process died while it had nothing to do."""
    try:
        return pool.submit(in_worker, task), pool
    except BrokenExecutor:
        pool.shutdown(wait=False)
        new = local_pool(1)
        return new.submit(in_worker, task), new


def _lost_by_executor(task: Task, problem: Exception) -> list[Result]:
    return _lost(task, f"the executor lost it: {type(problem).__name__}: {problem}")


def _lost(task: Task, reason: str) -> list[Result]:
    return [(cell, Lost(reason)) for cell in task.cells]
