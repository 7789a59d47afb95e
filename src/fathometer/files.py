"""Where a result is written: said at once if it cannot be."""

import os
from pathlib import Path

from fathometer.errors import TargetError


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


def write(path: str | Path, content: str | bytes) -> Path:
    """Write text (UTF-8, as it is on every system) or bytes, whole or not at all, and return the path.

    The content goes to a file beside the target first and then takes its place. Raises `TargetError` where it cannot.
    """
    path = check_path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)
        beside.replace(path)
    except OSError as problem:
        beside.unlink(missing_ok=True)
        raise _unwritable(path, problem.strerror or str(problem)) from None
    return path


def _unwritable(path: Path, why: str) -> TargetError:
    return TargetError(
        f'"{path}" cannot be written: {why}', "A result is written to a file", "Name another file, or make the folder"
    )
