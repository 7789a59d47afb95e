"""`fathometer train`: a run as a file, that goes on where it stood."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

Changes = Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="SECTION.KEY=VALUE")]


def train(
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN.toml")],
    set: Changes = (),
    resume: Literal["latest", "previous"] = "latest",
    json: bool = False,
) -> int:
    """Train a network as a file says, and go on where it stood when it was stopped.

    The file has sections [network], [data] and [training], and at the top seed, folder and device. The folder holds the
    resolved file, a log with a line for each step, checkpoints and the record. On several processes: torchrun -m fathometer
    train RUN.toml.

    Exit code: 0 finished, 1 stopped by a loss or gradient that is not finite, 2 error, 130 stopped from outside.

    Args:
        run: What to train, on which data, and how.
        set: Change a key of the file for this run, like training.steps=100; may be given more than once.
        resume: The checkpoint to go on from: the latest, or the one before it where the latest is damaged.
        json: Print the record as JSON, and nothing else.
    """
    from fathometer.cli.show import show_record
    from fathometer.json_text import dump
    from fathometer.runs import read_run, train_file
    from fathometer.training.parallel import joined

    with joined() as is_first:
        asked = read_run(run, set)
        try:
            record = train_file(asked, resume=resume, silent=json).record
        except KeyboardInterrupt:
            print("Stopped. The same command goes on from the latest checkpoint.", file=sys.stderr)
            return 130
        if is_first and json:
            print(dump(record.to_dict()))
        elif is_first:
            show_record(record, asked.folder)
    return 0 if record.stopped_at is None else 1
