"""Finished runs are on disk at once, and found again."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fathometer.data import digits
from fathometer.errors import BatchError, RecordError, SpecError, TargetError
from fathometer.records import Asked, Record
from fathometer.runs import RunsError, many, work
from fathometer.runs.finished import RECORDS
from fathometer.spec import Mlp

RUNS = [(Mlp(width=width, depth=depth), Asked(6, seed=seed)) for width in (8, 9) for depth in (1, 2) for seed in (0, 1)]


def quiet(*facts: object) -> None:
    """Draw no bar."""


def lines(folder: Path) -> list[Any]:
    """Return what is on disk, a table for each finished run."""
    return [json.loads(line) for line in (folder / RECORDS).read_text(encoding="utf-8").splitlines()]


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let any training fail."""

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("this run was done before")

    monkeypatch.setattr(work, "train", refuse)
    monkeypatch.setattr(work, "StackedRun", refuse)


def test_what_is_finished_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time nothing is trained, in whatever order the runs are asked for; the folder is made if it is not there."""
    folder = tmp_path / "new" / "grid"
    first = many(RUNS, progress=quiet, folder=folder)
    assert len(lines(folder)) == len(RUNS)
    forbid(monkeypatch)

    assert many(RUNS[::-1], progress=quiet, folder=folder) == first[::-1]
    assert all(Record.from_dict(line["record"]) in first for line in lines(folder))


def test_other_runs_and_other_data_are_done(tmp_path: Path) -> None:
    """A spec, a wish or data that differ in one number make another run; a name and its data are the same."""
    spec, asked = RUNS[0]
    many([(spec, asked)], progress=quiet, folder=tmp_path)
    inputs, targets = digits().train_inputs, digits().train_targets
    other = inputs.clone()
    other[0, 0] += 1e-6
    many([(spec, asked)], data="digits", progress=quiet, folder=tmp_path)
    assert len(lines(tmp_path)) == 1

    many([(spec, Asked(6, seed=2)), (Mlp(width=8, depth=1, gain=1.1), asked)], progress=quiet, folder=tmp_path)
    for data in ((inputs, targets), (other, targets), (other, targets)):
        many([(spec, asked)], data=data, progress=quiet, folder=tmp_path)
    assert len(lines(tmp_path)) == 5


def test_ctrl_c_leaves_what_is_finished(tmp_path: Path) -> None:
    """An interrupt after the second run leaves two on disk, and the next call does the rest alone."""

    def interrupt(finished: int, total: int, seconds: float) -> None:
        if finished == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        many(RUNS, progress=interrupt, stack="never", folder=tmp_path)
    assert len(lines(tmp_path)) == 2

    told: list[int] = []
    records = many(RUNS, progress=lambda finished, total, seconds: told.append(total), folder=tmp_path)
    assert set(told) == {len(RUNS) - 2}
    assert len(records) == len(RUNS)


def test_runs_that_fail_lose_none_of_the_others(tmp_path: Path) -> None:
    """The finished runs are on disk although the call ended in an error."""
    with pytest.raises(RunsError, match="1 of 9 runs failed"):
        many([*RUNS, (Mlp(inputs=7), Asked(2))], progress=quiet, folder=tmp_path)

    assert len(lines(tmp_path)) == len(RUNS)


def test_a_line_that_was_cut_short_is_done_again(tmp_path: Path) -> None:
    """A writer that was killed in the middle of a line costs that run alone, and the next line is whole."""
    expected = many(RUNS[:3], progress=quiet, folder=tmp_path)
    path = tmp_path / RECORDS
    path.write_bytes(path.read_bytes()[:-40])
    told: list[int] = []
    found = many(RUNS[:3], progress=lambda finished, total, seconds: told.append(total), folder=tmp_path)

    assert set(told) == {1}
    for a, b in zip(found, expected, strict=True):
        assert a.losses == pytest.approx(b.losses, rel=1e-6)  # float32: alone it adds in another order than in a stack
    assert many(RUNS[:3], progress=quiet, folder=tmp_path) == found


def test_another_type_of_number_is_another_run(tmp_path: Path) -> None:
    """A network in float64 is not the one in float32."""
    data = (digits().train_inputs, digits().train_targets)
    many(RUNS[:1], data=data, progress=quiet, folder=tmp_path)
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(RunsError):  # the data are float32: what matters is that it was tried
            many(RUNS[:1], data=data, progress=quiet, folder=tmp_path)
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """Lines of another kind, and records of another version, are not taken for finished runs."""
    (tmp_path / RECORDS).write_text('{"step": 1}\n')
    with pytest.raises(RecordError, match="Line 1 of"):
        many(RUNS, progress=quiet, folder=tmp_path)

    (tmp_path / RECORDS).write_text('{"key": "a", "record": {"schema": "fathometer.record/99"}}\n')
    with pytest.raises(RecordError, match="record/99"):
        many(RUNS, progress=quiet, folder=tmp_path)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    """A file in the way is named before anything is trained."""
    (tmp_path / "file").touch()
    with pytest.raises(TargetError, match="cannot be used"):
        many(RUNS, progress=quiet, folder=tmp_path / "file")


def test_what_has_no_key_is_refused(tmp_path: Path) -> None:
    """A module has no spec and batches have no hash: they cannot be found again."""
    with pytest.raises(SpecError, match="Finished runs are found again by their spec"):
        many([(nn.Linear(64, 10), Asked(1))], progress=quiet, folder=tmp_path)
    with pytest.raises(BatchError, match="found again by their data"):
        many(RUNS, data=[(torch.ones(2, 64), torch.ones(2).long())] * 3, progress=quiet, folder=tmp_path)
