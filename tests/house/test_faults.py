"""The page of faults is what the bench measured, and a handful is injected."""

import runpy
from functools import partial
from pathlib import Path
from typing import Any

import pytest

PAGE = runpy.run_path(str(Path(__file__).with_name("faults.py")))
ROW = {
    "room": "lab",
    "fault": "f",
    "promise": "p",
    "code": 2,
    "message": "m",
    "lost": "nothing",
    "survived": True,
    "control": False,
}


def test_the_page_is_up_to_date() -> None:
    """docs/faults.md is what `make readme` would write."""
    assert PAGE["PAGE"].read_text(encoding="utf-8").splitlines() == PAGE["page"]().splitlines()


def test_every_fault_was_survived_and_no_control() -> None:
    """Each row of the result kept its promise, in all five rooms; where a guard was off, none did."""
    rows = PAGE["rows"]()
    tried, controls = ([row for row in rows if row["control"] is kind] for kind in (False, True))

    assert {row["room"] for row in tried} == set(PAGE["ROOMS"])
    assert [(row["room"], row["fault"], row["message"]) for row in tried if row["survived"] is False] == []
    assert len(controls) >= 4
    assert [(row["room"], row["fault"]) for row in controls if row["survived"]] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"survived": False}, "| **no** |"),
        ({"survived": None, "code": None}, "| – | `m` | nothing | not tried |"),
        ({"message": "a | b `c`"}, "`a \\| b 'c'`"),
    ],
)
def test_what_was_not_survived_is_seen_on_the_page(change: dict[str, Any], words: str) -> None:
    """A row that is not survived, or could not be tried, says so, and no message breaks the table."""
    assert words in PAGE["page"]([{**ROW, **change}])


@pytest.mark.slow
def test_a_handful_of_faults_is_survived(tmp_path: Path) -> None:
    """A watch that is killed, one on a full disk, and runs that are spoilt keep their promises; without the guard they do not."""
    from benchmarks.faults.child import run
    from benchmarks.faults.looking import _disk, _stopped
    from benchmarks.faults.numbers import _trained
    from benchmarks.faults.planted import numbers_unguarded, train_spoilt

    tmp_path.chmod(0o755)
    stopped = _stopped(tmp_path / "killed", "kill -9", [9], 137)
    full = [row for row in _disk(tmp_path) if row["fault"] == "full disk"]
    spoilt = [_trained(tmp_path, "f", *case, "p") for case in (("gradients", 1.0, "gradient"), ("weights", None, "weight"))]
    bare = run(numbers_unguarded(partial(train_spoilt, "gradients", None, tmp_path / "bare")))

    assert [row["survived"] for row in (stopped, *full, *spoilt)] == [True, True, False, True, True]
    assert '"finite": false' in bare.text
