"""What a plan says was measured here is what the studies' results say."""

import json
from pathlib import Path

import pytest

from fathometer.scaling import plan
from fathometer.scaling.measured import MEASURED

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "studies.json"


@pytest.mark.parametrize("name", MEASURED)
def test_what_was_measured_is_word_for_word_in_the_results(name: str) -> None:
    """Each sentence stands in the answer, or in a note, of the study that it names; a plan shows it."""
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]
    row = next(row for row in rows if row["study"] == name.removeprefix("study "))

    assert any(MEASURED[name] in text for text in (row["sentence"], *row["notes"]))
    assert MEASURED[name] in str(plan(1e20))
