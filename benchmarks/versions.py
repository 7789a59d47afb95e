"""Which versions were tested: the fast tests under other Pythons and torches, room by room, none run twice."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

Row = dict[str, Any]
ROOT = Path(__file__).parents[1]
# What the tests of each room said, ROOM.xml; remove it and they run again. Those that failed may run alone after a mend:
# `pytest --junitxml=build/versions/PYTHON-TORCH/ROOM.again.xml …` counts in their place.
KEPT = ROOT / "build" / "versions"
RESULT = Path(__file__).parent / "results" / "versions.json"
ROOMS = sorted(path.name for path in (ROOT / "tests").iterdir() if any(path.rglob("test_*.py")) and path.name != "browser")
ASK = "import platform, torch; print(platform.python_version(), torch.__version__)"


def versions() -> list[Row]:
    """Return one row for each pair of Python and torch: its fast tests passed, failed and skipped, and the day of the last.

    `FATHOMETER_PYTHONS` names the interpreters, as PATH does, each with the package's requirements and its `dev` extra; this one
    where it is not set. `FATHOMETER_ROOMS` names the folders of tests to run, all where it is not set: what is not run is not
    counted, and the row says so. Rows of other pairs stay as they were measured.
    """
    pythons = os.environ.get("FATHOMETER_PYTHONS", sys.executable).split(os.pathsep)
    rooms = os.environ.get("FATHOMETER_ROOMS", " ".join(ROOMS)).split()
    rows = {_key(row): row for row in _before()}
    for python in pythons:
        row = tested(python, rooms)
        rows[_key(row)] = row
    return sorted(rows.values(), key=lambda row: [_numbers(part) for part in _key(row)])


def _before() -> list[Row]:
    return json.loads(RESULT.read_text(encoding="utf-8"))["rows"] if RESULT.exists() else []


def _key(row: Row) -> tuple[str, str]:
    return row["python"], row["torch"]


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.partition("+")[0].split(".")]


def tested(python: str, rooms: Iterable[str]) -> Row:
    """Return the row of one interpreter: rooms that were tested before are taken from what was kept, the others run."""
    number, torch = subprocess.run([python, "-c", ASK], check=True, capture_output=True, text=True).stdout.split()
    folder = KEPT / f"{number}-{torch}"
    for room in rooms:
        if not (folder / f"{room}.xml").exists():
            _test(python, room, folder / f"{room}.xml")
    ran = [room for room in ROOMS if (folder / f"{room}.xml").exists()]
    told = dict[str, str]()
    for room in ran:
        for report in sorted(folder.glob(f"{room}.*xml"), key=lambda path: path.stat().st_mtime):
            told |= outcomes(report.read_text(encoding="utf-8"))
    counts = {outcome: list(told.values()).count(outcome) for outcome in ("passed", "failed", "skipped")}
    missing = [room for room in ROOMS if room not in ran]
    day = datetime.fromtimestamp(max(path.stat().st_mtime for path in folder.glob("*.xml")), UTC).date().isoformat()
    return {"python": number, "torch": torch, **counts, "rooms": len(ran), "not_run": ", ".join(missing) or None, "date": day}


def _test(python: str, room: str, report: Path) -> None:
    own = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    line = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", f"tests/{room}"]
    told = subprocess.run(line, cwd=ROOT, env=own, capture_output=True, text=True, check=False)
    last = (told.stdout.strip().splitlines() or [told.stderr[-300:]])[-1]
    print(f"{room}: {last}", file=sys.stderr, flush=True)
    if told.returncode not in (0, 1):  # neither passed nor failed: the tests could not be collected
        report.unlink(missing_ok=True)
        raise RuntimeError(f"tests/{room} under {python}: {last}")


def outcomes(report: str) -> dict[str, str]:
    """Return what came of each test of a report, by its name.

    >>> outcomes('<a><b><testcase classname="t" name="x"/><testcase classname="t" name="y"><failure/></testcase></b></a>')
    {'t::x': 'passed', 't::y': 'failed'}
    """
    found = {}
    for case in ElementTree.fromstring(report).iter("testcase"):
        inside = {child.tag for child in case}
        outcome = "failed" if inside & {"failure", "error"} else "skipped" if "skipped" in inside else "passed"
        found[f"{case.get('classname')}::{case.get('name')}"] = outcome
    return found
