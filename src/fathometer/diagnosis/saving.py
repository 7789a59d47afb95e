"""Where a result is written: said before the work starts if it cannot be."""

import os
from pathlib import Path

from fathometer.errors import TargetError
from fathometer.report import Page, save


def save_page(page: Page, path: str | Path) -> Path:
    """Write a report and return its path; raise `TargetError` where the file cannot be written."""
    path = check_path(path)
    try:
        save(page, path)
    except OSError as problem:
        raise _unwritable(path, problem.strerror or str(problem)) from None
    return path


def check_path(path: str | Path) -> Path:
    """Return the path; raise `TargetError` if no file can be written there."""
    path = Path(path)
    if path.is_dir():
        raise _unwritable(path, "it is a folder")
    if not path.parent.is_dir():
        raise _unwritable(path, f'there is no folder "{path.parent}"')
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise _unwritable(path, "writing there is not allowed")
    return path


def _unwritable(path: Path, why: str) -> TargetError:
    return TargetError(
        f'"{path}" cannot be written: {why}', "A result is written to a file", "Name another file, or make the folder"
    )
