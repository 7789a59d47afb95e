"""`fathometer train`: a run as a file, that goes on where it stood."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from fathometer.diagnosis import Watch
    from fathometer.runs import RunFile
    from fathometer.runs.folder import Watching
    from fathometer.training import Course

Changes = Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="SECTION.KEY=VALUE")]


def train(
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN.toml")],
    set: Changes = (),
    resume: Literal["latest", "previous"] = "latest",
    json: bool = False,
) -> int:
    """Train a network as a file says, and go on where it stood when it was stopped.

    The file has sections [network], [data] and [training], and at the top seed, folder and device. With a section [watch]
    (every, price, budget, layers, stop_on; it may be empty) every layer is watched: fathometer follow FOLDER shows it. The
    folder holds the resolved file, a log with a line for each step, checkpoints and the record. On several processes:
    torchrun -m fathometer train RUN.toml.

    Ctrl-C, or SIGTERM, ends it after the step that it is at, which is kept; a second one ends it at once.

    Exit code: 0 finished, 1 stopped by a loss, gradient or weight that is not finite, 2 error, 130 stopped from outside (143 by
    SIGTERM).

    Args:
        run: What to train, on which data, and how.
        set: Change a key of the file for this run, like training.steps=100; may be given more than once.
        resume: The checkpoint to go on from: the latest, or the one before it where the latest is damaged.
        json: Print the record as JSON, and nothing else.
    """
    from fathometer.cli.show import show_record
    from fathometer.cli.stopping import Told, between_steps
    from fathometer.json_text import dump
    from fathometer.runs import read_run, train_file
    from fathometer.training.parallel import joined, world

    with joined() as is_first, between_steps() if world() == 1 else nullcontext(Told()) as told:
        asked, alerts = read_run(run, set), list[str]()
        watching = _watching(asked, alerts)
        try:
            record = train_file(asked, resume=resume, silent=json, watching=watching, should_stop=told).record
        except KeyboardInterrupt:
            print("Stopped. The same command goes on from the latest checkpoint.", file=sys.stderr)
            return told.code
        if is_first and json:
            print(dump(record.to_dict()))
        elif is_first:
            show_record(record, asked.folder, alerts)
    return 0 if record.stopped_at is None else 1


def _watching(asked: "RunFile", alerts: list[str]) -> "Watching | None":
    """Return what watches the run as its file asks, and leaves its alerts in a list; None where it asks for nothing."""
    wishes = asked.watch
    if wishes is None:
        return None

    @contextmanager
    def watched(course: "Course") -> "Iterator[Watch]":
        from fathometer.diagnosis import watch

        with watch(course.model, course.optimizer, record=asked.folder, **wishes).after(course.step) as seen:
            yield seen
        alerts.extend(map(str, seen.alerts))

    return watched
