"""The table for a GPU, rehearsed: each row runs at a tiny size here, is kept, and says what went wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.gpu import table
from benchmarks.gpu.sizes import FULL, TINY, Sizes
from benchmarks.gpu.table import JOBS, Job, Target, gpu

IN_ITS_OWN = "tests marked gpu"  # starts pytest


def rows_of(*measured: tuple[str, float]) -> list[dict[str, Any]]:
    """Return what a job would print."""
    return [{"what": what, "measured": number, "detail": "of a test"} for what, number in measured]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have jobs measured at once, without a process; return the list of those that were."""
    names = list[str]()

    def measured(name: str, sizes: Sizes, limit: float) -> list[dict[str, Any]]:
        names.append(name)
        if "Hugging Face" in name:
            return [table._unmeasured(name, "failed", "OutOfMemoryError")]
        speed = 3.0 if "ours" in name else 2.0
        return [table._judged(name, row, sizes) for row in rows_of(("utilisation", 0.4), ("tokens a second", speed))]

    monkeypatch.setattr(table, "_rows", measured)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    return names


TRAINED = tuple(name for name in JOBS if name.startswith("train 96 x"))


def test_a_row_says_whether_its_target_is_met(asked: list[str], tmp_path: Path) -> None:
    """At least half of the chip is missed by 0.4; our speed over the plain loop's is met; a failed row has no ratio."""
    rows = gpu(FULL, tmp_path / "gpu.jsonl", TRAINED)
    verdicts = {(row["row"].partition(", ")[2], row["what"]): row["verdict"] for row in rows}

    assert verdicts["ours", "utilisation"] == "missed"
    assert verdicts["plain loop", "utilisation"] == "told"
    assert verdicts["Hugging Face", None] == "failed"
    assert [(row["what"], row["measured"]) for row in rows if "over" in str(row["what"])] == [("ours over plain loop", 1.5)]
    assert (Target(20, at_least=True).verdict(20), Target(1.02).verdict(1.03)) == ("met", "missed")


def test_a_stopped_table_goes_on(asked: list[str], tmp_path: Path) -> None:
    """What was measured is not measured again; what failed is."""
    kept = tmp_path / "gpu.jsonl"
    gpu(FULL, kept, TRAINED[:1])
    gpu(FULL, kept, TRAINED)
    gpu(FULL, kept, TRAINED)

    assert asked == [*TRAINED, TRAINED[-1]]
    assert [json.loads(line)["row"] for line in kept.read_text(encoding="utf-8").splitlines()][:2] == [TRAINED[0]] * 2


def test_no_row_begins_when_the_time_is_up(asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said of each row that is left."""
    monkeypatch.setattr(table, "SECONDS", 1.0)
    rows = gpu(FULL, tmp_path / "gpu.jsonl", TRAINED)

    assert asked == []
    assert {row["verdict"] for row in rows} == {"not run"}


def test_without_a_gpu_nothing_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command ends at once and says how its code can be tried."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match=r"No CUDA device.*--tiny"):
        gpu(FULL, tmp_path / "gpu.jsonl")
    assert not (tmp_path / "gpu.jsonl").exists()


@pytest.mark.slow
def test_a_row_in_its_own_process_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that raises, and one that takes too long, say so in their rows; the one after them runs."""
    monkeypatch.setitem(JOBS, "raises", Job(JOBS["watch"].run, 90, {}))  # unknown to the process that is asked for it
    monkeypatch.setitem(JOBS, "slow", Job(JOBS["watch"].run, 0.01, {}))
    rows = gpu(TINY, tmp_path / "gpu.jsonl", ("raises", "slow", "full size 175B"))

    assert [row["verdict"] for row in rows] == ["failed", "failed", "ran"]
    assert "KeyError: 'raises'" in rows[0]["detail"]
    assert "took longer" in rows[1]["detail"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, in its compiler
@pytest.mark.parametrize("name", [name for name in JOBS if name != IN_ITS_OWN])
def test_the_code_of_each_row_runs(name: str) -> None:
    """At a tiny size on the CPU each row gives a finite number for each of its targets; blocks are left uncompiled here."""
    with torch.compiler.set_stance("force_eager"), torch.random.fork_rng():
        rows = JOBS[name].run(TINY)

    assert {row["what"] for row in rows} >= set(JOBS[name].targets) - {"every 50"}
    assert all(torch.isfinite(torch.tensor(row["measured"])) and row["detail"] for row in rows)
