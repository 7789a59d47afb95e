"""One task of a study, in whatever process: a row or a reason a cell."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import process_time

import torch

from fathometer.errors import FathometerError
from fathometer.memory import ran_out, sizes
from fathometer.studies.question import Cell, Row


@dataclass(frozen=True)
class Task:
    """Some cells that are measured together, and the function of a module that does it."""

    measure: Callable[[Sequence[Cell]], Iterator[Row]]
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Lost:
    """Why a cell has no row."""

    reason: str


def measured(task: Task) -> Iterator[tuple[Cell, Row | Lost]]:
    """Yield each cell with what was measured of it and its processor seconds; a failure ends its own task alone.

    Cells of a stack come all at once: each has an equal share of the stack's time.
    """
    done, start = 0, process_time()
    try:
        for cell, row in zip(task.cells, task.measure(task.cells), strict=True):
            now = process_time()
            yield cell, {**row, "cpu_seconds": round(row.get("cpu_seconds", now - start), 3)}
            done, start = done + 1, process_time()
    except Exception as problem:  # reported with the others at the end
        yield from ((cell, Lost(_reason(problem))) for cell in task.cells[done:])


def _reason(problem: Exception) -> str:
    if isinstance(problem, FathometerError):
        return str(problem)
    if ran_out(problem):
        return f"memory ran out: {sizes(problem)}. Fewer workers, or smaller networks, fit"
    return f"{type(problem).__name__}: {problem}"


def in_worker(task: Task) -> list[tuple[Cell, Row | Lost]]:
    """Do a task in a worker, on one thread: two can be many times slower for small networks."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return list(measured(task))
    finally:
        torch.set_num_threads(before)
