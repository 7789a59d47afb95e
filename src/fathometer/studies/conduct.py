"""The cells of a study, measured here or by workers; none twice."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import timedelta
from time import perf_counter
from typing import Any

from fathometer.errors import FathometerError
from fathometer.runs.progress import OnProgress, progress_bar
from fathometer.studies.cells import Finished
from fathometer.studies.hand_out import Lost, Task, hand_out, over_lanes
from fathometer.studies.question import Cell, Groups, Question, Row
from fathometer.studies.work import measured

Result = tuple[Cell, Row | Lost]


class StudyError(FathometerError):
    """Some cells of a study were not measured: `reasons` says of each why; all others are finished."""

    def __init__(self, study: str, reasons: Sequence[tuple[Cell, str]], total: int) -> None:
        self.reasons = tuple(reasons)
        cell, reason = self.reasons[0]
        super().__init__(
            f"{len(self.reasons)} of {total} cells of {study} were not measured: {reason} (the first: {dict(cell)})",
            "The others are finished, and on disk if there is a folder",
            "Mend what is wrong and give the same command again: it does only what is missing",
        )


def conduct(
    name: str,
    question: Question,
    groups: Groups,
    finished: Finished,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    progress: OnProgress | None = None,
) -> list[Row]:
    """Measure the cells that are not finished, and return the rows of all, in the order of the groups.

    Without `executor` and `workers` in this process, one group after another. `workers` are processes of this machine, each
    on its own: where one dies, what it was at is given to a new one. Each row is kept at once.
    """
    waiting = [[cell for cell in group if finished.get(cell) is None] for group in groups]
    tasks = [Task(question.measure, tuple(group)) for group in waiting if group]
    tasks.sort(key=lambda task: -sum(map(question.cost, task.cells)))  # the longest first, so that no worker is left with it
    total = sum(len(group) for group in groups)
    reasons = list[tuple[Cell, str]]()
    if workers is not None:
        results = over_lanes(tasks, workers)
    else:
        results = _here(tasks) if executor is None else hand_out(tasks, executor)
    costs = [question.cost(cell) for task in tasks for cell in task.cells]
    with _telling(total, total - len(costs), sum(costs, 0.0), progress) as tell:
        for some in results:
            for cell, result in some:
                if isinstance(result, Lost):
                    reasons.append((cell, result.reason))
                else:
                    finished.add(cell, result)  # before it is told: what is told is on disk
            tell(len(some), sum((question.cost(cell) for cell, _ in some), 0.0))
    if reasons:
        raise StudyError(name, reasons, total)
    return [row for group in groups for cell in group if (row := finished.get(cell)) is not None]


def _here(tasks: Sequence[Task]) -> Iterator[list[Result]]:
    for task in tasks:
        for result in measured(task):
            yield [result]


@contextmanager
def _telling(total: int, done: int, cost: float, progress: OnProgress | None) -> Iterator[Callable[[int, float], None]]:
    """Hand out what is told how many cells are done and what they cost, and says how long the rest will take."""
    start, state = perf_counter(), {"done": done, "spent": 0.0}

    def left() -> float:
        spent = state["spent"]
        return (perf_counter() - start) * (cost / spent - 1) if spent else float("inf")

    def facts(step: int, loss: float) -> str:
        return f"{state['done']} of {total} cells · {timedelta(seconds=round(max(0.0, left())))} left"

    def note(tell: Callable[[int], Any]) -> Callable[[int, float], None]:
        def after(count: int, own: float) -> None:
            state["done"] += count
            state["spent"] += own
            tell(int(state["done"]))

        return after

    if progress is not None:
        yield note(lambda step: progress(step, total, max(0.0, left())))
        return
    with progress_bar(total, facts) as advance:
        yield note(lambda step: advance(step, 0.0))


def as_table(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return rows as columns; what a row does not have is None."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names}
