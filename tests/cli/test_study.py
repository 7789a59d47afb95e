"""`fathometer study`: an answer, a report and its cells; and words for what is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
SMALL = ("--set", "tasks=[]", "--set", "folds=[1,2]", "--set", "seeds=[0]")


def test_a_study_leaves_report_and_cells(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer in a sentence, the report and one line for each cell; the same command measures nothing again."""
    monkeypatch.chdir(tmp_path)
    first, second = run("study", "power-of-depth", *SMALL), run("study", "power-of-depth", *SMALL)
    folder = tmp_path / "study-power-of-depth"

    assert first.code == second.code == 0
    assert "The power of depth: shown. 4 straight pieces, exactly" in first.out
    assert first.out == second.out
    assert len((folder / "cells.jsonl").read_text().splitlines()) == 2 + 4
    assert "<!doctype html>" in (folder / "report.html").read_text()


def test_json_is_all_that_is_printed(run: Run, tmp_path: Path) -> None:
    """--json prints the answer with its rows, and nothing else."""
    result = run("study", "power-of-depth", *SMALL, "--json", "--folder", str(tmp_path))

    assert json.loads(result.out)["answer"] == "shown"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["power-of-deth"], 'Did you mean "power-of-depth"'),
        (["clipping", "--set", "depth"], "An option is NAME=VALUE"),
        (["clipping", "--set", "deepth=3"], 'Did you mean "depth"'),
        (["clipping", "--html", "none/page.html"], "cannot be written"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_measured(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    """Exit code 2, the nearest right name, and no folder that would look like a study."""
    monkeypatch.chdir(tmp_path)
    result = run("study", *arguments)

    assert result.code == 2
    assert words in result.err
    assert list(tmp_path.iterdir()) == []
