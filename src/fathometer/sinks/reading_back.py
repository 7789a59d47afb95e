"""A run's record read back, also while it is written or after a kill."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fathometer import json_text
from fathometer.errors import RecordError
from fathometer.files import is_file, is_folder
from fathometer.records import check_schema
from fathometer.sinks.json_lines import NAME, SCHEMA
from fathometer.sinks.rows import is_row

LOG = "log.jsonl"  # of `fathometer train`: a line for each step
Row = Mapping[str, Any]


@dataclass(frozen=True)
class RunRecord:
    """What a run has written so far: what it is, its measured steps, its alerts, losses by step, and how it ended, if it has."""

    about: Row
    rows: Sequence[Row] = ()
    alerts: Sequence[Row] = ()
    losses: Sequence[tuple[int, float]] = ()
    end: Row | None = None
    cut_short: int = 0  # lines that cannot be read: of a writer that was killed, or of another

    @property
    def points(self) -> tuple[str, ...]:
        """Return the names of the depth points."""
        return tuple(self.rows[-1]["points"]) if self.rows else ()

    def column(self, name: str) -> list[tuple[int, tuple[float | None, ...]]]:
        """Return (step, numbers by depth point) of one column, for the steps that have the depth points of the last."""
        alike = [row for row in self.rows if tuple(row["points"]) == self.points]
        return [(row["step"], tuple(row["columns"][name])) for row in alike if name in row["columns"]]


def read_run_record(path: str | Path) -> RunRecord:
    """Return the record in a folder, or in a file of JSON lines; raise `RecordError` where there is none.

    Of a folder that `fathometer train` has written the log alone will do. Lines that were cut short are passed over.
    """
    folder = Path(path)
    watched, log = (folder / NAME, folder / LOG) if is_folder(folder) else (folder, None)
    if is_file(watched):
        return _watched(*_lines(watched), watched)
    if log is not None and is_file(log):
        rows, cut = _lines(log)
        losses = [(row["step"], row["loss"]) for row in rows if "loss" in row and row.get("step") is not None]
        return RunRecord({"schema": SCHEMA}, losses=losses, cut_short=cut)
    raise RecordError(
        f'There is no record of a run in "{path}"',
        f"A watched run writes {NAME}, a trained one {LOG}",
        'Name the folder that was given as `record`, as in fm.watch(model, optimizer, record="run")',
    )


def _watched(rows: list[dict[str, Any]], cut: int, path: Path) -> RunRecord:
    begins = [index for index, row in enumerate(rows) if row.get("kind") == "begin"]
    if not begins:
        raise RecordError(f'"{path}" does not begin as a record does', f"Its first line says {SCHEMA}", "Name another file")
    about = rows[begins[-1]]
    check_schema(about, SCHEMA)
    kept = _without_what_was_done_again(rows)
    steps = [row for row in kept if row.get("kind") == "step"]
    alerts = [row for row in kept if row.get("kind") == "alert"]
    end = next((row for row in reversed(rows[begins[-1] :]) if row.get("kind") == "end"), None)
    return RunRecord(about, steps, alerts, _losses(rows), end, cut)


def _losses(rows: list[dict[str, Any]]) -> list[tuple[int, float]]:
    """Return (step, loss) of measured steps and ends, without those of steps that were done again."""
    found = list[tuple[int, float]]()
    for row in rows:
        if row.get("kind") == "begin" and row.get("after_step"):
            found = [pair for pair in found if pair[0] <= row["after_step"]]
        found += [(int(step), loss) for step, loss in row.get("losses", ())]
    return found


def _without_what_was_done_again(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows without those of steps that a killed run had done after the checkpoint from which it went on."""
    kept = list[dict[str, Any]]()
    for row in rows:
        if row.get("kind") == "begin" and row.get("after_step"):
            kept = [old for old in kept if old.get("step", 0) <= row["after_step"]]
        kept.append(row)
    return kept


def _lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the rows that can be read, and how many lines cannot."""
    found, cut = list[dict[str, Any]](), 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json_text.load(line)
        except ValueError:
            row = None
        if isinstance(row, dict) and is_row(row):
            found.append(row)
        elif line.strip():
            cut += 1
    return found, cut
