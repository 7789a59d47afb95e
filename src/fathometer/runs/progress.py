"""Progress that shows itself only where someone is waiting."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

PATIENCE_SECONDS = 2.0  # before a bar is drawn on a terminal
LINE_SECONDS = 10.0  # between two lines where there is no terminal
OnProgress = Callable[[int, int, float], object]
Facts = Callable[[int, float], str]


@contextmanager
def progress_bar(total: int, facts: Facts) -> Iterator[Callable[[int, float], None]]:
    """Hand out a function of (step, loss) that shows progress on stderr, with what `facts` says of a step.

    On a terminal that is a bar, after two seconds; elsewhere a line of text every ten seconds.
    """
    if sys.stderr.isatty():
        with _bar(total, facts) as advance:
            yield advance
    else:
        yield _lines(total, facts)


@contextmanager
def _bar(total: int, facts: Facts) -> Iterator[Callable[[int, float], None]]:
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[facts]}"))
    start, bar, is_shown = perf_counter(), Progress(*columns, console=Console(stderr=True), transient=True), False
    task = bar.add_task("training", total=total, facts="")

    def advance(step: int, loss: float) -> None:
        nonlocal is_shown
        if not is_shown and perf_counter() - start > PATIENCE_SECONDS:
            bar.start()
            is_shown = True
        if is_shown:
            bar.update(task, completed=step, facts=facts(step, loss))

    try:
        yield advance
    finally:
        if is_shown:
            bar.stop()


def _lines(total: int, facts: Facts) -> Callable[[int, float], None]:
    last = perf_counter()

    def advance(step: int, loss: float) -> None:
        nonlocal last
        if perf_counter() - last > LINE_SECONDS:
            last = perf_counter()
            print(f"step {step:,}/{total:,} · {facts(step, loss)}", file=sys.stderr, flush=True)

    return advance
