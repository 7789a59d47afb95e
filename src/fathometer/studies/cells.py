"""The finished cells of a study: a line each, found again by the cell."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fathometer import json_text
from fathometer.errors import RecordError
from fathometer.runs.lines import append_line, read_lines
from fathometer.studies.question import Cell, Row

CELLS = "cells.jsonl"
SCHEMA = "fathometer.cell/1"


class Finished:
    """What was measured of each finished cell of one study, in a folder or in memory alone.

    A larger grid in the same folder measures its new cells only: a cell is known by what decides it, and by nothing else.
    """

    def __init__(self, study: str, folder: str | Path | None) -> None:
        self.study, self.path = study, None if folder is None else Path(folder) / CELLS
        self.found: dict[str, Row] = {}
        if self.path is not None:
            self.found = dict(_read(self.path, number, table) for number, table in read_lines(self.path))

    def get(self, cell: Cell) -> Row | None:
        """Return the row of a cell, None where it is still to be measured."""
        found = self.found.get(key_of(self.study, cell))
        return None if found is None else {**cell, **found}

    def add(self, cell: Cell, measured: Row) -> None:
        """Keep what was measured; with a folder it is on disk when this returns."""
        key = key_of(self.study, cell)
        if self.path is not None:
            append_line(self.path, {"schema": SCHEMA, "study": self.study, "key": key, "cell": cell, "measured": measured})
        self.found[key] = json_text.load(json_text.dump(measured))  # as it will be read again


def key_of(study: str, cell: Cell) -> str:
    """Return the hash of a study's name and a cell, the same whatever the order of its parts."""
    text = json_text.dump({"study": study, "cell": dict(sorted(cell.items()))}, indent=None)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _read(path: Path, number: int, table: Any) -> tuple[str, Row]:
    if not isinstance(table, Mapping) or table.get("schema") != SCHEMA:
        raise RecordError(
            f'Line {number} of "{path}" is no finished cell of a study', f'Its schema is "{SCHEMA}"', "Use another folder"
        )
    return table["key"], dict(table["measured"])
