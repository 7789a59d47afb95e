"""The page of what is wrong is what the results say, line for line."""

import json
import runpy
from pathlib import Path

import pytest

WRONG = runpy.run_path(str(Path(__file__).with_name("wrong.py")))
SCORE = {"part": "scored", "family": "f", "settled": True, "expected": "saturation", "causes": "saturation", "first": True}


def test_the_page_is_up_to_date() -> None:
    """docs/wrong.md is what `make readme` would write."""
    assert WRONG["PAGE"].read_text(encoding="utf-8").splitlines() == WRONG["page"]().splitlines()


def test_every_wrong_verdict_has_its_line_and_no_right_one() -> None:
    """Each network whose verdict is not its truth is named once in the tables of verdicts, and nothing else is."""
    rows = WRONG["rows_of"]("zoo_score")
    wrong = [row["network"] for row in rows if row["verdict"] != row["truth"]]
    verdicts = WRONG["page"]().partition("## The right verdict")[0]
    lines = [line for line in verdicts.splitlines() if line.startswith("| ") and not line.startswith("| family")]

    assert len(lines) == len(wrong)
    for network in wrong:
        family, _, name = network.partition(": ")
        assert sum(line.startswith(f"| {family} | {name} |") for line in lines) == 1, network


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return a folder with results of three networks: one right, one with a wrong verdict, one with a wrong cause."""
    names = ("f: right", "f: wrong verdict", "f: wrong cause")
    truth = [{"name": name, "fault": "saturation", "strength": 2} for name in names]
    (tmp_path / "zoo_truth.jsonl").write_text("\n".join(map(json.dumps, truth)), encoding="utf-8")
    right = SCORE | {"truth": "at risk", "verdict": "at risk"}
    rows = [
        right | {"network": names[0]},
        right | {"network": names[1], "verdict": "healthy", "causes": "", "settled": False},
        right | {"network": names[2], "causes": "dead_units saturation", "first": False},
    ]
    (tmp_path / "zoo_score.json").write_text(json.dumps({"rows": rows}), encoding="utf-8")
    mend = {"part": "scored", "family": "f", "way": "mend", "network": names[0], "before": 0.6, "advice": ["put_norm_first"]}
    kept = [
        mend | {"truth": "at risk", "share": 0.7, "remedy": "none"},
        mend | {"truth": "healthy", "share": 0.95, "remedy": "clip"},
    ]
    (tmp_path / "zoo_mend.json").write_text(json.dumps({"rows": kept}), encoding="utf-8")
    return tmp_path


def test_each_kind_of_mistake_has_its_section(results: Path) -> None:
    """A wrong verdict, a wrong cause and a network that was not mended stand each in its table; what is right does not."""
    page = WRONG["page"](results)

    assert "| f | wrong verdict | saturation | 2 | at risk ± | healthy | – |" in page
    assert "| f | wrong cause | saturation | 2 | at risk | at risk | dead_units |" in page
    assert "| f | right | saturation | 2 | 0.60 | 0.70 | nothing was proved; advice: put_norm_first |" in page
    assert page.count("| f | right |") == 1
    assert "1 of 3. 1 at risk called healthy." in page
    assert "Not measured yet." in page
