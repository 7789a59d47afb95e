"""Faults done to `fathometer study`: stopped, starved, a worker lost."""

import os
import shutil
import signal
from collections.abc import Callable
from math import isclose
from pathlib import Path
from typing import Any

from benchmarks.faults.child import Ended, Row, Work, command, lines_in, row, run, start, struck, wait_until, workers_of
from fathometer import json_text

DEPTHS, GAINS = (3, 5, 7, 9, 11, 13), (1.0, 1.76, 3.0)  # a stack for each depth, a network for each gain
CELLS, STRIKE = len(DEPTHS) * len(GAINS), 6
OPTIONS = {"depths": [*DEPTHS], "weight_variances": [*GAINS], "rates": [0.01], "steps": 120, "width": 16}
GOES_ON = "the same command measures what is missing, and gives the same rows within rounding"


class Studies:
    """A study that was left alone, and others in folders beside it."""

    def __init__(self, home: Path) -> None:
        self.home, self.alone = home, home / "alone"
        ended = run(self.into(self.alone))
        assert ended.code == 0, ended.text

    def into(self, folder: Path, *more: str) -> Work:
        """Return the work of asking the question in a folder."""
        changes = [part for name, value in OPTIONS.items() for part in ("--set", f"{name}={value}")]
        return command("study", "trainability", *changes, "--folder", folder, "--json", *more)

    def goes_on(self, folder: Path) -> bool:
        """Ask again, and return whether each cell was measured, once, and as in the study that was left alone."""
        ended = run(self.into(folder))
        kept = cells(folder)
        return ended.code == 0 and is_near(kept, cells(self.alone)) and lines_in(folder / "cells.jsonl") == CELLS


def cells(folder: Path) -> dict[str, Any]:
    """Return what was measured of each cell, but for the time that it took."""
    found = {}
    for line in (folder / "cells.jsonl").read_text(encoding="utf-8").splitlines():
        try:
            table = json_text.load(line)
        except ValueError:
            continue
        found[table["key"]] = {name: value for name, value in table["measured"].items() if name != "cpu_seconds"}
    return found


def is_near(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether the same cells have the same numbers, but for rounding: a cell may be measured in a smaller stack."""
    pairs = [(value, other[key].get(name)) for key, row in one.items() if key in other for name, value in row.items()]
    numbers = [pair for pair in pairs if all(isinstance(value, float) for value in pair)]
    rest = [pair for pair in pairs if pair not in numbers]
    return one.keys() == other.keys() and all(isclose(*pair, rel_tol=0.01) for pair in numbers) and all(a == b for a, b in rest)


def stopped(studies: Studies, fault: str, signals: list[int], code: int) -> Row:
    """Stop a study on its way, and ask again."""
    folder = studies.home / fault.replace(" ", "-")
    ended = struck(studies.into(folder), lambda: lines_in(folder / "cells.jsonl") >= STRIKE, signals)
    done = lines_in(folder / "cells.jsonl")
    survived = ended.code == code and STRIKE <= done < CELLS and studies.goes_on(folder)
    lost = f"none of {done} finished cells; the stack of {len(GAINS)} at hand is done again"
    return row("study", fault, f"no finished cell is lost; {GOES_ON}", ended, lost, survived)


def full_disk(studies: Studies) -> Row:
    """Let the file of the cells grow to a size and no further."""
    folder = studies.home / "full"
    ended = run(studies.into(folder), largest_file=3000)
    done = len(cells(folder))
    survived = ended.code == 2 and "cannot be used" in ended.message and _repaired(studies, folder)
    lost = f"none of {done} finished cells; the stack at hand is done again"
    return row("study", "full disk", f"an error; {GOES_ON}", ended, lost, survived)


def read_only(studies: Studies) -> Row:
    """Give a folder in which nothing may be written."""
    folder = studies.home / "read-only"
    shutil.copytree(studies.alone, folder)
    (folder / "cells.jsonl").write_text("", encoding="utf-8")
    folder.chmod(0o555)
    ended = run(studies.into(folder), has_no_rights=True)
    folder.chmod(0o755)
    survived = ended.code == 2 and "Permission denied" in ended.message and studies.goes_on(folder)
    return row("study", "read-only folder", f"an error; {GOES_ON}", ended, "nothing", survived)


def lost_worker(studies: Studies) -> Row:
    """Kill one of two workers in the middle of its stack."""
    folder = studies.home / "worker"
    child = start(studies.into(folder, "--workers", "2"))
    wait_until(lambda: child.is_over() or lines_in(folder / "cells.jsonl") >= len(GAINS))
    workers = workers_of(child.pid)
    os.kill(workers[0], signal.SIGKILL)
    ended = child.end()
    survived = len(workers) == 2 and ended.code == 0 and is_near(cells(folder), cells(studies.alone))
    promise = "another is started and does its stack again; the study ends as if nothing had been"
    return row("study", "a worker of a process pool lost", promise, Ended(ended.code, "the study ended"), "nothing", survived)


def damaged(studies: Studies) -> list[Row]:
    """Damage the file of finished cells."""
    changes: list[tuple[str, str, Callable[[bytes], bytes], str]] = [
        ("record cut in the middle of a line", "1 cell, measured again", lambda content: content[:-60], ""),
        ("a line of the record overwritten", "1 cell, measured again", _overwritten, ""),
        ("a record of something else", "nothing", lambda content: b'{"schema": "other/1"}\n' + content, "is no finished cell"),
    ]
    rows = []
    for fault, lost, change, refused in changes:
        folder = studies.home / fault.replace(" ", "-")
        shutil.copytree(studies.alone, folder)
        path = folder / "cells.jsonl"
        whole = path.read_bytes()
        path.write_bytes(change(whole))
        ended = run(studies.into(folder))
        survived = refused in ended.message and ended.code == 2 if refused else ended.code == 0 and _is_whole(studies, folder)
        promise = "refused by its line" if refused else "that cell is measured again, no other, and the file is whole after it"
        rows.append(row("study", fault, promise, Ended(ended.code, _short(ended)), lost, survived))
    return rows


def _is_whole(studies: Studies, folder: Path) -> bool:
    return is_near(cells(folder), cells(studies.alone)) and lines_in(folder / "cells.jsonl") == CELLS + 1  # the broken line stays


def _repaired(studies: Studies, folder: Path) -> bool:
    return run(studies.into(folder)).code == 0 and is_near(cells(folder), cells(studies.alone))


def _overwritten(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    lines[3] = b"\x00" * (len(lines[3]) - 1) + b"\n"
    return b"".join(lines)


def _short(ended: Ended) -> str:
    return ended.message if ended.code else "the study ended"


def study_rows(home: Path) -> list[Row]:
    """Return the rows of faults that a study is struck by."""
    studies = Studies(home)
    return [
        stopped(studies, "kill -9", [signal.SIGKILL], 137),
        stopped(studies, "SIGTERM", [signal.SIGTERM], 143),
        stopped(studies, "SIGINT twice", [signal.SIGINT, signal.SIGINT], 130),
        full_disk(studies),
        read_only(studies),
        lost_worker(studies),
        *damaged(studies),
    ]
