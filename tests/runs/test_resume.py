"""A run that is killed at any moment goes on as if nothing had been."""

import json
import os
import random
import re
import resource
import shutil
import signal
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from fathometer.errors import RecordError, TargetError
from fathometer.records import Asked, read_json
from fathometer.runs import train
from fathometer.training import state
from fathometer.training.checkpoint import checkpoints
from fathometer.training.muon import HAS_MUON

ASKED = Asked(steps=20, optimizer="adamw", clip=1.0, schedule="wsd", save_every=5, evaluate_every=10)
NETWORK = "mlp-5"


def dropout_network() -> nn.Sequential:
    """Return a network that draws numbers and keeps statistics."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 10))


def last_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights in the newest checkpoint of a run's folder."""
    return load_file(checkpoints(folder / "checkpoints")[-1] / "model.safetensors")


def in_a_child(folder: Path, asked: Asked, kill_after: float | None = None) -> bool:
    """Train in a process of its own, and kill it after that many seconds; return whether it was killed."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            train(dropout_network(), asked, data="digits", folder=folder, progress=lambda *_: None)
            code = 0
        finally:
            os._exit(code)
    if kill_after is not None:
        time.sleep(kill_after)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in ((0, -signal.SIGKILL) if kill_after is not None else (0,))
    return status != 0


def steps_in(log: Path) -> list[int]:
    """Return the steps whose losses the log holds, in its order."""
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [row["step"] for row in rows if "loss" in row]


def half_written(folder: Path) -> int:
    """Return how many checkpoints were begun and not ended."""
    return len(list((folder / "checkpoints").glob(".step-*")))


def kill_and_compare(tmp_path: Path, kills: int, asked: Asked) -> tuple[int, int]:
    """Kill a run so often and let it end; check that it ends as one left alone; return how many kills hit it, and a write."""
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    train(NETWORK, Asked(steps=1))  # what is slow to import is there before the clock starts
    start, chance, hits, writes = time.monotonic(), random.Random(kills), 0, 0
    in_a_child(straight, asked)
    whole = time.monotonic() - start
    for _ in range(kills):
        hits += in_a_child(broken, asked, chance.uniform(0.1, 1.5) * whole / kills) and (broken / "log.jsonl").exists()
        writes += half_written(broken) > 0
    in_a_child(broken, asked)

    one, other = last_weights(straight), last_weights(broken)
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert steps_in(straight / "log.jsonl") == steps_in(broken / "log.jsonl") == list(range(1, asked.steps + 1))
    records = [read_json((folder / "record.json").read_text(encoding="utf-8")) for folder in (straight, broken)]
    assert records[0]["losses"] == records[1]["losses"]
    assert records[0]["held_out_loss"] == records[1]["held_out_loss"]
    assert half_written(broken) == 0
    return hits, writes


def test_a_run_that_is_killed_three_times_ends_the_same(tmp_path: Path) -> None:
    """Weights, losses, log and held-out loss are those of a run that was left alone, bit for bit."""
    hits, _ = kill_and_compare(tmp_path, 3, replace(ASKED, steps=60, save_every=2))

    assert hits >= 1  # the last of them may come too late


@pytest.mark.slow
def test_a_run_that_is_killed_twenty_times_ends_the_same(tmp_path: Path) -> None:
    """Twenty random moments, some of them while a checkpoint is written: there is one after every step."""
    hits, writes = kill_and_compare(tmp_path, 20, replace(ASKED, steps=300, save_every=1, evaluate_every=50))

    assert hits >= 15
    assert writes >= 3


NEEDS_MUON = pytest.mark.skipif(not HAS_MUON, reason="this torch has no Muon, which is said in an error")


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", pytest.param("muon", marks=NEEDS_MUON)])
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_resumed_run_is_the_run_bit_for_bit(optimizer: str, precision: str, tmp_path: Path) -> None:
    """A run stopped half-way, and begun again by a fresh process's objects, ends in the weights of one that was not."""
    asked = replace(ASKED, optimizer=optimizer, precision=precision, accumulate=2, momentum=0.9 if optimizer == "sgd" else 0.0)
    whole = train(dropout_network(), asked, folder=tmp_path / "whole")

    def stop(step: int, total: int, loss: float) -> None:
        if step == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(dropout_network(), asked, folder=tmp_path / "half", progress=stop)
    assert len(checkpoints(tmp_path / "half" / "checkpoints")) == 2
    resumed = train(dropout_network(), asked, folder=tmp_path / "half")

    assert resumed.record.losses == whole.record.losses
    expected = whole.model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.model.state_dict().items())


def test_without_the_generators_it_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: where dropout draws other numbers after the resumption, the losses differ."""
    whole = train(dropout_network(), ASKED, folder=tmp_path)
    shutil.rmtree(tmp_path / "checkpoints" / "step-00000020")
    monkeypatch.setattr(state, "_set_generators", lambda *_: None)
    resumed = train(dropout_network(), ASKED, folder=tmp_path)

    assert resumed.record.losses[:15] == whole.record.losses[:15]
    assert resumed.record.losses[15:] != whole.record.losses[15:]


def test_batches_without_a_state_are_read_up_to_the_place(tmp_path: Path) -> None:
    """A list of batches is read again from its start: the resumed run goes on with the batch that is next."""
    generator = torch.Generator().manual_seed(0)
    batches = [(torch.randn(8, 64, generator=generator), torch.randint(10, (8,), generator=generator)) for _ in range(7)]
    whole = train(dropout_network(), ASKED, data=batches, folder=tmp_path)
    shutil.rmtree(tmp_path / "checkpoints" / "step-00000020")

    assert train(dropout_network(), ASKED, data=batches, folder=tmp_path).record.losses == whole.record.losses


def test_a_finished_run_is_only_told_again(tmp_path: Path) -> None:
    """Nothing is trained or written anew: log and checkpoints stay as they are, and the record is the same."""
    first = train(NETWORK, ASKED, folder=tmp_path).record
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    assert train(NETWORK, ASKED, folder=tmp_path).record == first
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"learning_rate": 0.1}, "`training.learning_rate` is 0.001 there and 0.1 here"),
        ({"clip": None}, "`training.clip` is 1.0 there and null here"),
        ({"seed": 3}, "`training.seed` is 0 there and 3 here"),
    ],
)
def test_another_run_in_the_folder_is_an_error(change: dict, words: str, tmp_path: Path) -> None:
    """The error says what differs; how often is saved and judged may differ."""
    asked = replace(ASKED, steps=4)
    train(NETWORK, asked, folder=tmp_path)
    with pytest.raises(RecordError, match=re.escape(words)):
        train(NETWORK, replace(asked, **change), folder=tmp_path)
    with pytest.raises(RecordError, match=r"`network\.width` is 128 there and 32 here"):
        train(f"{NETWORK}@width=32", asked, folder=tmp_path)

    assert train(NETWORK, replace(asked, save_every=1, evaluate_every=None), folder=tmp_path).record.status == "finished"


def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_used(tmp_path: Path) -> None:
    """The error names the file; the run goes on from the previous checkpoint when asked, and ends as it would have."""
    whole = train(dropout_network(), ASKED, folder=tmp_path)
    damaged = checkpoints(tmp_path / "checkpoints")[-1] / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(RecordError, match=r"step-00000020/model\.safetensors.*cut short or changed"):
        train(dropout_network(), ASKED, folder=tmp_path)
    resumed = train(dropout_network(), ASKED, folder=tmp_path, resume="previous")

    assert resumed.record.losses == whole.record.losses
    assert steps_in(tmp_path / "log.jsonl") == list(range(1, 21))
    assert train(dropout_network(), ASKED, folder=tmp_path).record.losses == whole.record.losses


class Spoils(nn.Module):
    """A network one of whose weights is infinite from the fifth call on, which its loss does not show."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.calls = nn.Linear(64, 8), nn.Linear(8, 10), 0

    def forward(self, x: Tensor) -> Tensor:
        """Return ten numbers for each sample."""
        self.calls += 1
        if self.calls == 5:
            with torch.no_grad():
                self.first.weight[0, 0] = float("inf")
        return self.last(torch.tanh(self.first(x + 1)))


@pytest.mark.parametrize(("save_every", "kept", "steps"), [(2, ["step-00000002", "step-00000004"], 6), (None, [], 20)])
def test_a_weight_that_is_not_finite_ends_the_run(save_every: int | None, kept: list[str], steps: int, tmp_path: Path) -> None:
    """It is not saved, and not trained on in silence: the run ends at the checkpoint that cannot be, and names the weight."""
    asked = replace(ASKED, save_every=save_every, evaluate_every=None, clip=None)
    record = train(Spoils(), asked, folder=tmp_path, progress=lambda *_: None).record

    assert (record.status, record.stopped_in, len(record.losses)) == ("stopped: weight is not finite", "first.weight", steps)
    assert record.held_out_loss is None
    assert [path.name for path in checkpoints(tmp_path / "checkpoints")] == kept


def test_without_a_previous_checkpoint_that_is_said(tmp_path: Path) -> None:
    """Asking for the one before the only one is an error."""
    train(NETWORK, Asked(steps=3), folder=tmp_path)
    with pytest.raises(RecordError, match=r"holds 1 checkpoint\. There is none before"):
        train(NETWORK, Asked(steps=3), folder=tmp_path, resume="previous")


def on_a_small_disk(largest: int, network: str, asked: Asked, folder: Path) -> str:
    """Train in a process whose files may not grow past a size; return what it says when it ends with a `TargetError`."""
    said = folder.with_name("said.txt")
    child = os.fork()
    if child == 0:
        try:
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
            train(network, asked, folder=folder, progress=lambda *_: None)
        except TargetError as problem:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            said.write_text(str(problem), encoding="utf-8")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return said.read_text(encoding="utf-8")


def test_a_disk_that_is_full_loses_nothing_older(tmp_path: Path) -> None:
    """Where files may not grow past a size, the error says so, and the checkpoint before is there to go on from."""
    folder, asked = tmp_path / "run", Asked(steps=4, save_every=2)
    train(NETWORK, asked, folder=folder)
    shutil.rmtree(folder / "checkpoints" / "step-00000004")
    said = on_a_small_disk(20_000, NETWORK, asked, folder)

    assert re.search(r'step-00000004" cannot be written: .*File too large.*What was saved before is as it was', said)
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step-00000002"]
    assert len(train(NETWORK, asked, folder=folder).record.losses) == 4


def test_a_log_that_finds_no_room_is_an_error_too(tmp_path: Path) -> None:
    """It is named, a line that was cut short is taken out, and the run goes on from its checkpoint to the end of a whole one."""
    network, folder, asked = "shallow-1@width=4", tmp_path / "run", Asked(steps=400, batch_size=4, save_every=100)
    said = on_a_small_disk(40_000, network, asked, folder)  # room for some 250 lines, and for any of these checkpoints
    assert 'log.jsonl" cannot be written: File too large. What was saved before is as it was.' in said
    (*_, last) = checkpoints(folder / "checkpoints")
    assert last.name in ("step-00000100", "step-00000200", "step-00000300")

    resumed = train(network, asked, folder=folder).record
    assert resumed.losses == train(network, asked).record.losses
    assert steps_in(folder / "log.jsonl") == list(range(1, 401))


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    """A run that diverges keeps its last good checkpoint, and says in which module it was lost."""
    asked = Asked(steps=50, optimizer="sgd", learning_rate=1e18, save_every=1)
    record = train("he-50@width=16", asked, folder=tmp_path).record
    (*_, last) = (json.loads(line) for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines())

    assert record.status.startswith("stopped")
    assert record.stopped_in is not None
    assert record.stopped_in.startswith("blocks.")
    assert last == {"step": record.stopped_at, "not_finite": record.stopped_in}
    for path in checkpoints(tmp_path / "checkpoints"):
        assert all(bool(value.isfinite().all()) for value in load_file(path / "model.safetensors").values())


def test_the_users_generators_are_left_alone_by_a_resumption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python, numpy and torch draw next is what they would have drawn."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the checks of the tests draw random numbers
    train(NETWORK, Asked(steps=3), folder=tmp_path)
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    train(NETWORK, Asked(steps=3), folder=tmp_path)
    drawn = (random.random(), np.random.random(), torch.rand(1).item())
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)

    assert drawn == (random.random(), np.random.random(), torch.rand(1).item())
