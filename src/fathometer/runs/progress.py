"""A progress bar that shows itself only where someone is waiting."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PATIENCE_SECONDS = 2.0
OnProgress = Callable[[int, int, float], object]


@contextmanager
def progress_bar(total: int) -> Iterator[Callable[[int, float], None]]:
    """Hand out a function of (step, loss) that draws a bar on stderr, after two seconds and only on a terminal."""
    start, bar = perf_counter(), _make_bar()
    task = bar.add_task("training", total=total, rate=0.0, loss=float("nan"))
    is_terminal, is_shown = sys.stderr.isatty(), False

    def advance(step: int, loss: float) -> None:
        nonlocal is_shown
        waited = perf_counter() - start
        if is_terminal and not is_shown and waited > PATIENCE_SECONDS:
            bar.start()
            is_shown = True
        if is_shown:
            bar.update(task, completed=step, rate=step / waited, loss=loss)

    try:
        yield advance
    finally:
        if is_shown:
            bar.stop()


def _make_bar() -> Progress:
    facts = TextColumn("{task.fields[rate]:.0f} steps/s · loss {task.fields[loss]:.3g}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), facts, TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
