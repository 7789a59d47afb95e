"""A file of JSON lines that grows: each line is on disk before the next."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fathometer import json_text
from fathometer.errors import TargetError
from fathometer.files import is_file, reason


def append_line(path: Path, table: Mapping[str, Any]) -> None:
    """Append one line, and wait until it is on disk; after a line that was cut short it begins a new one."""
    line = json_text.dump(table, indent=None) + "\n"
    try:
        with path.open("a+b") as file:
            if _is_cut_short(file):
                line = "\n" + line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as problem:
        raise unusable(path, problem) from None


def read_lines(path: Path) -> list[tuple[int, Any]]:
    """Return the number and the content of each line; a line that was cut short is left out, for it was never finished."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if is_file(path) else []
    except (OSError, ValueError) as problem:
        raise unusable(path, problem) from None
    return [(number, table) for number, line in enumerate(lines, 1) if (table := _read(line)) is not None]


def unusable(path: Path, problem: OSError | ValueError) -> TargetError:
    """Return the error for a file that cannot be read or written."""
    return TargetError(
        f'"{path}" cannot be used: {reason(problem)}',
        "Finished runs are written there",
        "Check the folder, or name another",
    )


def _read(line: str) -> Any:
    try:
        return json_text.load(line)
    except ValueError:
        return None


def _is_cut_short(file: Any) -> bool:
    """Return whether the last line has no end: its writer was killed."""
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"
