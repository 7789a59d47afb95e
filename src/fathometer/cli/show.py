"""Results on a terminal: the verdict first, colour where there is any."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.syntax import Syntax
from rich.text import Text

from fathometer.diagnosis.words import fix_lines, preflight_lines
from fathometer.errors import TargetError
from fathometer.files import check_path

if TYPE_CHECKING:
    from fathometer.diagnosis import Fix, Preflight
    from fathometer.diagnosis.mend import Progress as OnProgress
    from fathometer.records import Record

STYLES = {"healthy": "bold green", "at risk": "bold yellow", "will not train": "bold red", "unknown": "bold magenta"}
FORMATS = (".png", ".svg", ".pdf", ".html", ".json")  # those of `figures.save`
OUTCOMES = {"proved": "green", "helped less": "yellow", "did not help": "yellow", "not tried": "dim"}


def check_outputs(page: Path | None, figure: Path | None) -> None:
    """Raise `TargetError` before any work is done, where a page or a figure could not be written afterwards."""
    for path in (page, figure):
        if path is not None:
            check_path(path)
    if figure is not None and figure.suffix.lower() not in FORMATS:
        raise TargetError(
            f'The figure is to be saved as "{figure.name}"',
            f"The suffix says the format: {', '.join(FORMATS)}",
            f'Try "{figure.stem}.png"',
        )


def show_preflight(check: "Preflight", written: Sequence[Path] = (), console: Console | None = None) -> None:
    """Print a preflight, and which files were written."""
    console = _console(console)
    first, *rest = preflight_lines(check)
    console.print(Text(first, style=STYLES[check.verdict]))
    for line in rest:
        console.print(Text(line, style="dim" if line.startswith("note:") else ""))
    _show_written(console, written)


def show_fix(fix: "Fix", written: Sequence[Path] = (), console: Console | None = None) -> None:
    """Print a fix: the proof, what was tried, the code to paste."""
    console = _console(console)
    console.print(Text(fix.evidence, style="bold green" if fix.proved or not fix.needed else "bold yellow"))
    console.print()
    for attempt, line in zip(fix.tried, fix_lines(fix), strict=True):
        console.print(Text(line, style=OUTCOMES[attempt.outcome]))
    if fix.code:
        console.print("\nThe code to paste:\n")
        console.print(Syntax(fix.code, "python", background_color="default") if console.is_terminal else Text(fix.code))
    _show_written(console, written)


def show_record(record: "Record", folder: Path, alerts: Sequence[str] = (), console: Console | None = None) -> None:
    """Print what came of a run, what its watch told, and where it is kept."""
    console = _console(console)
    time, steps = timedelta(seconds=round(record.seconds)), len(record.losses)
    losses = f"loss {record.losses[0]:.3g} → {record.losses[-1]:.3g}" if steps else "no step was taken"
    if record.stopped_at is not None:
        what = record.status.removeprefix("stopped: ")
        where = f", first in {record.stopped_in}" if record.stopped_in else ""
        console.print(Text(f"Stopped before step {record.stopped_at:,}: the {what}{where}.", style="bold red"))
    elif record.status == "finished":
        console.print(Text(f"Trained {steps:,} steps in {time}: {losses}{_held_out(record)}.", style="bold green"))
    else:
        said = f"Stopped after step {steps:,}, as an alert of its watch asks: {losses}{_held_out(record)}."
        console.print(Text(said, style="bold yellow"))
    for alert in alerts:
        console.print(Text(alert, style="yellow"))
    console.print(Text(f"Kept in {folder}"))


def _held_out(record: "Record") -> str:
    if record.held_out_loss is None:
        return ""
    right = "" if record.held_out_accuracy is None else f", {record.held_out_accuracy:.1%} right"
    return f"; held out {record.held_out_loss:.3g}{right}"


@contextmanager
def bar(silent: bool = False) -> Iterator["OnProgress | None"]:
    """Hand out a progress callback that draws a bar on a terminal, and a line for each step elsewhere."""
    console = Console(stderr=True)
    if silent:
        yield None
    elif not console.is_terminal:
        yield _line_by_line(console)
    else:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} steps"),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            tasks = {}

            def advance(text: str, done: int, total: int) -> None:
                if text not in tasks:
                    tasks[text] = progress.add_task(text, total=total)
                progress.update(tasks[text], completed=done)

            yield advance


def _line_by_line(console: Console) -> "OnProgress":
    """Return a progress callback that prints each text once, when it is first heard of."""
    said = set[str]()

    def say(text: str, done: int, total: int) -> None:
        if text not in said:
            console.print(Text(f"{text} …"))
        said.add(text)

    return say


def _console(console: Console | None) -> Console:
    return console if console is not None else Console(highlight=False, soft_wrap=True)


def _show_written(console: Console, written: Sequence[Path]) -> None:
    for path in written:
        console.print(Text(f"Written: {path}"))
