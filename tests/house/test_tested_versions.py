"""Which versions were tested: reports are counted right, and the ends of the range are among them."""

import json
import re
from pathlib import Path

import pytest
from benchmarks import versions

ROOT = Path(__file__).parents[2]
ROWS = json.loads((ROOT / "benchmarks" / "results" / "versions.json").read_text(encoding="utf-8"))["rows"]
REPORT = """<testsuites><testsuite>
<testcase classname="a" name="good"/><testcase classname="a" name="bad"><failure/></testcase>
<testcase classname="a" name="broken"><error/></testcase><testcase classname="a" name="left"><skipped/></testcase>
</testsuite></testsuites>"""


def minor(version: str) -> tuple[int, int]:
    """Return the first two numbers of a version."""
    found = re.match(r"(\d+)\.(\d+)", version)
    assert found is not None
    return int(found[1]), int(found[2])


def test_a_report_is_counted() -> None:
    """What failed and what broke are failures; a skipped test did not pass."""
    assert list(versions.outcomes(REPORT).values()) == ["passed", "failed", "failed", "skipped"]


def test_a_mended_test_counts_by_its_last_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run again alone, a test's last outcome stands; rooms without a report are named as not run; nothing is run twice."""
    monkeypatch.setattr(versions, "KEPT", tmp_path)
    monkeypatch.setattr(versions, "ROOMS", ["one", "other"])
    monkeypatch.setattr(versions, "ASK", "print('3.11.0 2.7.1+cpu')")
    folder = tmp_path / "3.11.0-2.7.1+cpu"
    folder.mkdir()
    (folder / "one.xml").write_text(REPORT, encoding="utf-8")
    (folder / "one.again.xml").write_text('<a><testcase classname="a" name="bad"/></a>', encoding="utf-8")
    row = versions.tested(versions.sys.executable, ["one"])

    assert (row["passed"], row["failed"], row["skipped"]) == (2, 1, 1)
    assert (row["rooms"], row["not_run"]) == (1, "other")


def test_the_ends_of_the_range_were_tested() -> None:
    """The oldest torch that the bound lets in, and the newest, have their rows, in which no test failed."""
    bound = re.search(r'"torch>=([\d.]+),<([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert bound is not None
    tested = {minor(row["torch"]) for row in ROWS if row["failed"] == 0 and row["passed"] > 0}

    assert minor(bound[1]) in tested
    assert (minor(bound[2])[0], minor(bound[2])[1] - 1) in tested
