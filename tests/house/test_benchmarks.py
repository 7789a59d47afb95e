"""The benchmarks can be found, refuse a wrong name, and write no path."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
CATALOGUE = "from benchmarks.__main__ import BENCHMARKS; print(*BENCHMARKS)"


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the root of the repository."""
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_an_unknown_benchmark_is_refused() -> None:
    """A name that is not in the catalogue ends with status 2 and lists the known ones."""
    refused = python("-m", "benchmarks", "nothing_here")

    assert refused.returncode == 2
    assert "import_time" in refused.stderr


def test_every_result_has_its_benchmark() -> None:
    """A file of results is named after a benchmark of the catalogue."""
    known = python("-c", CATALOGUE).stdout.split()

    assert known
    assert [path.name for path in RESULTS if path.stem not in known] == []


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_result_says_when_and_where_without_a_path(path: Path) -> None:
    """A file of results holds date, machine and rows, and no path of the machine."""
    found = json.loads(path.read_text(encoding="utf-8"))

    assert set(found) == {"benchmark", "date", "machine", "rows"}
    assert found["rows"]
    assert str(ROOT) not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_the_rows_of_a_result_have_the_same_keys(path: Path) -> None:
    """All rows can stand in one table, as every benchmark prints them."""
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]

    assert [row for row in rows if set(row) != set(rows[0])] == []
