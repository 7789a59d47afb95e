"""`fathometer mend`: the smallest remedy that is proved to work."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import tyro


def mend(
    target: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TARGET")],
    json: bool = False,
    html: Path | None = None,
    code: Path | None = None,
    steps: int = 150,
    seed: int = 0,
) -> int:
    """Find the smallest remedy that is proved to work, and print it as code to paste.

    Exit code: 0 mended, or it trains as it is; 1 it does not train and no remedy was proved; 2 error.

    Args:
        target: A preset, spec.toml, or file.py:function that returns (model, batch) or (model, batch, loss_fn).
        json: Print the result as JSON, and nothing else.
        html: Write the report to this file; it opens offline.
        code: Write the code to this file, if there is a proved remedy.
        steps: Steps of each short training run.
        seed: Decides the draws of a spec and of the remedies.
    """
    from fathometer.cli.show import bar, show_fix
    from fathometer.diagnosis import load_target
    from fathometer.diagnosis import mend as run
    from fathometer.files import check_path, write
    from fathometer.records import Asked

    for path in (html, code):
        if path is not None:
            check_path(path)
    with bar(silent=json) as progress, redirect_stdout(sys.stderr):  # what the user's own code prints is no part of the answer
        found = load_target(target, seed)
        settings = {"asked": Asked(steps=steps), "seed": seed, "progress": progress}
        fix = run(found.model, found.batch, loss_fn=found.loss_fn, **settings).named(found.name)
    if html is not None:
        fix.save_html(html)
    written = [path for path in (html, code if fix.code else None) if path is not None]
    if code is not None and fix.code:
        write(code, fix.code)
    if json:
        print(fix.to_json())
    else:
        show_fix(fix, written)
        if code is not None and not fix.code:
            print(f"Not written: {code}, as there is no proved remedy to paste.")
    return 0 if fix.proved is not None or not fix.needed else 1
