"""Where a result is written: said at once if it cannot be."""

import os
from pathlib import Path

from fathometer.errors import TargetError

LONGEST_NAME = 200  # bytes: systems take 255, and what is written beside it is a little longer


def is_file(path: str | Path) -> bool:
    """Return whether there is a file of that name; no file has a name that the system refuses."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: str | Path) -> bool:
    """Return whether there is a folder of that name; no folder has a name that the system refuses."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def expanded(path: str | Path) -> Path:
    """Return a path in which ~ is the user's own folder; left as it is where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def check_path(path: str | Path) -> Path:
    """Return the path; raise `TargetError` if no file can be written there."""
    path = Path(path)
    if "\x00" in str(path) or not _has_name(path):
        raise _unwritable(path, "no file can have such a name")
    if is_folder(path):
        raise _unwritable(path, "it is a folder")
    if not is_folder(path.parent):
        raise _unwritable(path, f'there is no folder "{path.parent}"')
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise _unwritable(path, "its name is too long")
    if not os.access(path if is_file(path) else path.parent, os.W_OK):
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
    except (OSError, ValueError) as problem:  # no character of its name or its text may be half of one
        beside.unlink(missing_ok=True)
        raise _unwritable(path, reason(problem)) from None
    return path


def is_text(text: str) -> bool:
    """Return whether a text can be written: half a character, as a command line may hold, cannot."""
    try:
        text.encode()
    except ValueError:
        return False
    return True


def _has_name(path: Path) -> bool:
    try:
        os.fsencode(path)
    except ValueError:
        return False
    return True


def reason(problem: BaseException) -> str:
    """Return why the system, or Python, did not do it."""
    return getattr(problem, "strerror", None) or str(problem)


def _unwritable(path: Path, why: str) -> TargetError:
    return TargetError(
        f'"{path}" cannot be written: {why}', "A result is written to a file", "Name another file, or make the folder"
    )
