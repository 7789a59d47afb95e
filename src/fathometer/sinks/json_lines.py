"""A run as lines of JSON, readable up to the last flush."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from fathometer import json_text
from fathometer.errors import TargetError

SCHEMA = "fathometer.watch/1"
NAME = "watch.jsonl"
Row = Mapping[str, Any]


class JsonLines:
    """Writes `watch.jsonl` in a folder, a line for each measured step, each handed to the system at once.

    A run that goes on in the same folder begins a new part with a line of its own, and the old lines stay. Raises `TargetError`
    once a line cannot be written, and then writes no more.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._file: IO[str] | None = None

    @property
    def path(self) -> Path:
        """Return the file."""
        return self.folder / NAME

    def begin(self, about: Row) -> None:
        """Say what the run is; raise `TargetError` where nothing can be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            cut = self.path.exists() and _last_byte(self.path) not in (b"", b"\n")
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as problem:
            raise TargetError(
                f'"{self.folder}" cannot be written to: {problem.strerror}', "A record is kept in a folder", "Name another one"
            ) from None
        if cut:
            self._file.write("\n")  # the last writer was killed
        self._write({"kind": "begin", "schema": SCHEMA, **about})

    def log(self, row: Row, step: int) -> None:
        """Write a measured step."""
        self._write({"kind": "step", **row})

    def alert(self, row: Row, step: int) -> None:
        """Write an alert."""
        self._write({"kind": "alert", **row})

    def end(self, about: Row) -> None:
        """Say how the run ended, and close the file."""
        self._write({"kind": "end", **about})
        if self._file is not None:
            self._file.close()
        self._file = None

    def _write(self, row: Row) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json_text.dump(dict(row), indent=None) + "\n")
            self._file.flush()
        except OSError as problem:
            file, self._file = self._file, None
            with suppress(OSError):  # what could not be written is still in its buffer
                file.close()
            raise TargetError(
                f'"{self.path}" cannot be written: {problem.strerror}', "What was written before is as it was", "Make room"
            ) from None


def _last_byte(path: Path) -> bytes:
    """Return the last byte of a file, none of an empty one."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return b""
        file.seek(-1, os.SEEK_END)
        return file.read(1)
