"""The run files of the examples train, and their published numbers are theirs."""

import json
import tomllib
from pathlib import Path

import pytest

from fathometer.runs import read_run, train_file

ROOT = Path(__file__).parents[2]
RUNS = sorted((ROOT / "examples" / "runs").glob("*.toml"))
SLOW = ("gpt-96", "resnet-50")  # judged on 32,768 bytes, and on scenes that are drawn first
DEPTHS = {"shallow-1": 1, "mlp-5": 5, "resnet-50": 50, "gpt-96": 96, "mlp-1000": 1000}


def published(name: str) -> dict:
    """Return the row of a run in the results of its benchmark."""
    rows = json.loads((ROOT / "benchmarks/results/trained.json").read_text(encoding="utf-8"))["rows"]
    return next(row for row in rows if row["run"] == name)


def test_there_is_a_file_for_each_depth() -> None:
    """One, 5, 50, 96 and 1,000 layers."""
    assert {path.stem for path in RUNS} == set(DEPTHS)


@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=[pytest.mark.slow] if path.stem in SLOW else [], id=path.stem) for path in RUNS]
)
def test_a_run_file_trains(path: Path, tmp_path: Path) -> None:
    """Two steps of each, in its own network, data and recipe, with a folder in `runs/` that is not in the repository."""
    assert read_run(path).folder == Path("runs") / path.stem
    run = read_run(path, [f"folder={tmp_path / 'run'}", "training.steps=2", "training.evaluate_every=2", "training.save_every=2"])
    record = train_file(run, silent=True).record

    assert run.network.depth == DEPTHS[path.stem]
    assert (record.status, len(record.losses)) == ("finished", 2)
    assert (tmp_path / "run" / "record.json").exists()


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_the_published_numbers_are_of_the_file_as_it_is(path: Path) -> None:
    """As many steps as the file asks for: a recipe that was changed is measured again."""
    row, table = published(path.stem), tomllib.loads(path.read_text(encoding="utf-8"))

    assert row["steps"] == table["training"]["steps"]
    assert len(row["losses"]) == row["steps"]


def test_96_layers_learn_more_than_pairs_of_bytes_in_ten_minutes() -> None:
    """At least one nat below the entropy of single bytes, and below that of pairs, on text that was not trained on."""
    row = published("gpt-96")

    assert row["held_out_loss"] < row["no_input"] - 1.0
    assert row["held_out_loss"] < row["bigrams"]
    assert row["cpu_seconds"] < 600


def test_a_thousand_layers_read_digits_in_five_minutes() -> None:
    """Nine in ten of the digits that were held out."""
    row = published("mlp-1000")

    assert row["held_out_accuracy"] > 0.9
    assert row["cpu_seconds"] < 300
