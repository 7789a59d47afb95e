"""`fathometer study`: what does depth buy? Asked of many networks."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

Changes = Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="OPTION=VALUE")]


def study(
    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")],
    quick: bool = False,
    set: Changes = (),
    folder: Path | None = None,
    html: Path | None = None,
    workers: int | None = None,
    dask: str | None = None,
    json: bool = False,
) -> int:
    """Ask one question about depth of many networks, and write a report.

    power-of-depth, depth-or-width, degradation, trainability, residual, clipping, transfer or scaling.

    Every finished cell is kept in the folder at once, and none is measured twice: the same command goes on after a stop, and a
    larger grid measures what is new.

    Exit code: 0 done, whatever the answer; 2 error, also where cells could not be measured; 130 stopped from outside (143 by
    SIGTERM).

    Args:
        name: The study.
        quick: Take a smaller grid, enough for a first look.
        set: Change an option of the study, like depths=[10,20]; may be given more than once.
        folder: Where the cells are kept; study-NAME if left out.
        html: Where to write the report; report.html in the folder if left out.
        workers: Processes on this machine; this one alone if left out.
        dask: Address of a Dask scheduler whose workers do the work.
        json: Print the answer and all rows as JSON, and nothing else.
    """
    from contextlib import nullcontext

    from fathometer.cli.settings import read_settings
    from fathometer.files import check_path
    from fathometer.studies import dask_executor, find_question
    from fathometer.studies import study as ask

    find_question(name)
    options, folder = read_settings(set), folder or Path(f"study-{name}")
    if html is not None:
        check_path(html)
    with nullcontext() if dask is None else dask_executor(dask) as executor:
        settings = {"folder": folder, "quick": quick, "workers": workers, "executor": executor, "options": options}
        try:
            done = ask(name, **settings, progress=(lambda finished, total, left: None) if json else None)
        except KeyboardInterrupt:
            print("Stopped. The same command goes on from the cells that are finished.", file=sys.stderr)
            return 130
    page = done.save_html(html or folder / "report.html")
    if json:
        print(done.to_json())
    else:
        print(done)
        for note in done.reading.notes:
            print(f"  {note}")
        print(f"\nThe report: {page}\nThe cells: {folder / 'cells.jsonl'}")
    return 0
