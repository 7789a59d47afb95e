"""What a run writes is read back: JSON lines always, trackers where they are installed."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest

from fathometer.errors import RecordError, TargetError
from fathometer.sinks import JsonLines, MlflowSink, TensorBoardSink, WandbSink, read_run_record, sink_of
from fathometer.sinks.tidy import HEATMAPS, Pictures, heatmap_pixels, png, scalars

DEPTH, ROWS, MOST_SERIES = 12, 6, 11  # docs/watching.md names the last one


def rows(count: int = ROWS) -> Iterator[dict[str, Any]]:
    """Yield measured steps of a deep network."""
    for step in range(1, count + 1):
        columns = {name: [float(step * (place + 1)) for place in range(DEPTH)] for name in ("signal", "gradient", "update")}
        facts = {"rate": 1e-3, "gradient_norm": 2.0 * step}
        points = [f"blocks.{place}" for place in range(DEPTH)]
        yield {"step": step, "loss": 1 / step, "losses": [[step, 1 / step]], "columns": columns, "facts": facts, "points": points}


def write(sink: Any, count: int = ROWS) -> None:
    """Write a whole run with one alert."""
    sink.begin({"model": "Net", "price": "standard"})
    for row in rows(count):
        sink.log(row, row["step"])
    alert = {"name": "update_size", "step": 3, "sentence": "Too large.", "points": ["blocks.3"], "gravity": "warning"}
    sink.alert(alert, 3)
    sink.end({"step": count, "how": "finished"})


def needs(package: str) -> pytest.MarkDecorator:
    """Skip where a tracker is not installed; pytest prints how many."""
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"{package} is not installed: extra `track`")


def test_json_lines_are_read_back(tmp_path: Path) -> None:
    """Rows, losses, alerts and the end are what was written."""
    write(JsonLines(tmp_path))
    record = read_run_record(tmp_path)

    assert [row["step"] for row in record.rows] == list(range(1, ROWS + 1))
    assert record.losses == [(step, 1 / step) for step in range(1, ROWS + 1)]
    assert record.column("update")[1] == (2, tuple(2.0 * (place + 1) for place in range(DEPTH)))
    assert (record.alerts[0]["name"], record.end and record.end["how"], record.cut_short) == ("update_size", "finished", 0)


def test_a_second_run_in_one_folder_begins_anew(tmp_path: Path) -> None:
    """The old lines stay; whether a run has ended is that of the last one."""
    write(JsonLines(tmp_path))
    sink = JsonLines(tmp_path)
    sink.begin({"model": "Net"})
    sink.log(next(rows()), 1)
    assert sink._file is not None
    sink._file.close()

    assert read_run_record(tmp_path).end is None
    assert len(read_run_record(tmp_path).rows) == ROWS + 1


def test_a_line_that_was_cut_short_is_passed_over(tmp_path: Path) -> None:
    """All lines before it are there, and a new run begins on a line of its own."""
    write(JsonLines(tmp_path))
    path = tmp_path / "watch.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    assert (len(read_run_record(tmp_path).rows), read_run_record(tmp_path).cut_short) == (ROWS, 1)

    write(JsonLines(tmp_path))
    assert (len(read_run_record(tmp_path).rows), read_run_record(tmp_path).cut_short) == (2 * ROWS, 1)


def test_a_sink_that_fails_ends_itself_alone(tmp_path: Path) -> None:
    """It is dropped with a warning once the run has begun, and the others are told on; one that cannot begin is an error."""

    class Fails(JsonLines):
        def log(self, row: Any, step: int) -> None:
            raise OSError(28, "No space left on device")

    fan, _ = sink_of([Fails(tmp_path / "one"), tmp_path / "two"])
    fan.begin({"model": "Net"})
    with pytest.warns(UserWarning, match="The record in Fails ends here, and the run goes on: OSError: .*No space left"):
        fan.log(next(rows()), 1)
    for row in rows():
        fan.log(row, row["step"])
    fan.end({"step": ROWS, "how": "finished"})

    assert [len(read_run_record(tmp_path / name).rows) for name in ("one", "two")] == [0, ROWS + 1]
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(TargetError, match="cannot be written to"):
        sink_of(tmp_path / "file" / "run")[0].begin({})


def test_a_sink_that_cannot_begin_ends_those_before_it(tmp_path: Path) -> None:
    """No file stays open; a second try begins them all."""

    class Begins(JsonLines):
        """Cannot begin at first."""

        fails = True

        def begin(self, about: Any) -> None:
            if self.fails:
                raise TargetError("wandb is not installed", "This sink writes with it", "Install it")
            super().begin(about)

    first, second = JsonLines(tmp_path / "one"), Begins(tmp_path / "two")
    fan, _ = sink_of([first, second])
    with pytest.raises(TargetError, match="not installed"):
        fan.begin({"model": "Net"})
    assert first._file is None
    assert read_run_record(tmp_path / "one").end == {"kind": "end", "how": "another record could not begin"}

    second.fails = False
    write(fan)
    assert [len(read_run_record(tmp_path / name).rows) for name in ("one", "two")] == [ROWS, ROWS]


def test_losses_are_read_from_every_row_that_has_them(tmp_path: Path) -> None:
    """The end brings those after the last measured step; what was done again after a checkpoint counts once."""
    (row,) = rows(1)
    for about, losses, end in (
        ({}, [[1, 3.0]], {"losses": [[2, 2.0], [3, float("nan")], [4, 2.0]]}),
        ({"after_step": 2}, [[3, 1.5]], {}),  # as written before the end had losses
    ):
        sink = JsonLines(tmp_path)
        sink.begin({"model": "Net", **about})
        sink.log({**row, "step": losses[0][0], "losses": losses}, losses[0][0])
        sink.end({"how": "finished", **end})

    assert read_run_record(tmp_path).losses == [(1, 3.0), (2, 2.0), (3, 1.5)]
    assert read_run_record(tmp_path).cut_short == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_a_full_disk_is_an_error_once(tmp_path: Path) -> None:
    """The line that cannot be written raises with its path, and after it nothing is tried."""
    (tmp_path / "watch.jsonl").symlink_to("/dev/full")
    sink = JsonLines(tmp_path)
    with pytest.raises(TargetError, match="cannot be written: No space left on device"):
        sink.begin({"model": "Net"})
    sink.log(next(rows()), 1)


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    """An empty folder, another file, and a folder that cannot be made are errors that say what to do."""
    with pytest.raises(RecordError, match="no record"):
        read_run_record(tmp_path)
    (tmp_path / "watch.jsonl").write_text('{"kind": "step"}\n', encoding="utf-8")
    with pytest.raises(RecordError, match="does not begin"):
        read_run_record(tmp_path)
    with pytest.raises(TargetError, match="cannot be written"):
        JsonLines(tmp_path / "watch.jsonl").begin({})
    with pytest.raises(TargetError, match="folder"):
        sink_of(object())


KILLED = """
import os, signal, sys, torch
from torch import nn
import fathometer as fm
torch.set_num_threads(1)
model = nn.Sequential(*(nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(3)), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
with fm.watch(model, optimizer, every=10, record=sys.argv[1]) as watch:
    for step in range(1, 10_000):
        optimizer.zero_grad()
        loss = model(torch.randn(32, 8)).square().mean()
        loss.backward()
        optimizer.step()
        watch.step(loss)
        if step == 57:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_is_readable_and_can_be_followed(tmp_path: Path) -> None:
    """After kill -9 the record holds all measured steps up to the last flush, and `fathometer follow` shows them."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], timeout=120, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    record = read_run_record(tmp_path)

    assert [row["step"] for row in record.rows] == [1, 10, 20, 30, 40, 50]
    assert record.losses[-1][0] == 50
    assert record.end is None

    shown = subprocess.run(
        [sys.executable, "-m", "fathometer", "follow", str(tmp_path), "--once"],
        timeout=120,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert shown.returncode == 0, shown.stderr
    assert "up to step 50, 6 measured" in shown.stdout
    assert "gradient" in shown.stdout


def test_few_series_whatever_the_depth() -> None:
    """A step of 12 or of 1,000 layers makes the same few scalars."""
    row = next(rows())
    deep = {**row, "columns": {name: series * 100 for name, series in row["columns"].items()}}

    assert set(scalars(row)) == set(scalars(deep))
    assert scalars(row)["update_largest"] == DEPTH
    columns = dict.fromkeys([*row["columns"], "dead", "attention_logits", "attention_entropy", "headroom"], [0.5] * DEPTH)
    assert len(scalars({**row, "columns": columns, "facts": {**row["facts"], "spike_score": 0.0}})) == MOST_SERIES


def test_a_picture_has_depth_upwards_and_steps_to_the_right() -> None:
    """The last layer of the last step is the lightest where numbers grow; what is unknown is grey."""
    pixels = heatmap_pixels([[1.0, 10.0], [10.0, 100.0], [None, 1000.0]])
    light = pixels.astype(int).sum(axis=2)

    assert light.argmax() == np.ravel_multi_index((0, light.shape[1] - 6), light.shape)
    assert pixels[-1, -1].tolist() == [128, 128, 128]
    assert png(pixels).startswith(b"\x89PNG")


def test_pictures_stay_small() -> None:
    """Thousands of steps are thinned out."""
    pictures = Pictures()
    for row in rows(3000):
        pictures.add(row)

    assert all(len(kept) <= 600 for kept in pictures.columns.values())
    assert set(pictures.columns) <= set(HEATMAPS)


@needs("tensorboard")
@pytest.mark.filterwarnings("ignore")  # of its own dependencies
def test_tensorboard_is_read_back(tmp_path: Path) -> None:
    """Scalars by step, one picture for each column, and the alert come back through TensorBoard's own reader."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write(TensorBoardSink(tmp_path))
    events = EventAccumulator(str(tmp_path), size_guidance={"images": 0, "scalars": 0})
    events.Reload()

    assert [event.value for event in events.Scalars("watch/loss")] == pytest.approx([1 / step for step in range(1, ROWS + 1)])
    assert len(events.Tags()["scalars"]) <= MOST_SERIES
    assert set(events.Tags()["images"]) == {"watch/signal", "watch/gradient", "watch/update"}
    assert "watch/update_size" in events.Tags()["tensors"]


def log_records(data: bytes, block: int = 32768) -> Iterator[bytes]:
    """Yield the records of a LevelDB log with W&B's header of seven bytes: (crc, length, kind) and data, in blocks."""
    place, parts = 7, b""
    while place + 7 <= len(data):
        if block - place % block < 7:
            place += block - place % block
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last of several
            yield parts
            parts = b""


@needs("wandb")
@pytest.mark.filterwarnings("ignore")
def test_wandb_offline_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without a network leaves its history in a file, whose records are W&B's own messages."""
    from wandb.proto import wandb_internal_pb2

    for name, value in {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "WANDB_SILENT": "true"}.items():
        monkeypatch.setenv(name, value)
    write(WandbSink())
    (path,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    for _ in range(100):  # a process of W&B's own writes it, a moment after the run has finished
        if path.stat().st_size > 100:
            break
        sleep(0.2)
    found = dict[str, list[Any]]()
    for data in log_records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        for item in record.history.item:
            key = item.key or "/".join(item.nested_key)
            found.setdefault(key, []).append(json.loads(item.value_json))

    assert found["watch/loss"] == pytest.approx([1 / step for step in range(1, ROWS + 1)])
    assert found["watch/alerts/update_size"] == [1]
    assert any(key == "watch/gradient" or key.startswith("watch/gradient/") for key in found)  # a picture has parts


class FakeTracker:
    """A tracker with W&B's interface, as trackio is."""

    run = None

    def __init__(self) -> None:
        self.logged: list[tuple[int, dict[str, Any]]] = []
        self.finished = False

    def init(self, project: str, config: dict[str, Any]) -> "FakeTracker":
        return self

    def log(self, numbers: dict[str, Any], step: int) -> None:
        self.logged.append((step, numbers))

    def finish(self) -> None:
        self.finished = True

    @staticmethod
    def Image(pixels: Any) -> Any:  # noqa: N802  (its name)
        return pixels


def test_what_follows_wandbs_interface_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module with `init`, `log`, `Image` and `finish` gets the same, as trackio does."""
    tracker = FakeTracker()
    monkeypatch.setitem(sys.modules, "trackio", tracker)  # pyrefly: ignore[bad-argument-type]
    write(WandbSink(module="trackio"))

    assert [numbers["watch/loss"] for _, numbers in tracker.logged if "watch/loss" in numbers] == [
        1 / s for s in range(1, ROWS + 1)
    ]
    assert tracker.logged[-1][1]["watch/gradient"].ndim == 3
    assert tracker.finished


@needs("mlflow")
@pytest.mark.filterwarnings("ignore")
def test_mlflow_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics by step, the alert and the pictures come back through MLflow's own client."""
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    with mlflow.start_run() as run:
        write(MlflowSink())
    client = mlflow.MlflowClient()
    history = client.get_metric_history(run.info.run_id, "watch/loss")

    assert [metric.value for metric in sorted(history, key=lambda metric: metric.step)] == pytest.approx(
        [1 / step for step in range(1, ROWS + 1)]
    )
    assert "Too large." in client.get_run(run.info.run_id).data.tags["watch/update_size"]
    assert {file.path for file in client.list_artifacts(run.info.run_id, "watch")} >= {"watch/gradient.png"}


def test_a_tracker_that_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sink, and each callback, names its extra."""
    for name in ("tensorboard", "tensorboard.summary.writer.event_file_writer", "wandb", "mlflow"):
        monkeypatch.setitem(sys.modules, name, None)
    for sink in (TensorBoardSink("nowhere"), WandbSink(), MlflowSink()):
        with pytest.raises(TargetError, match=r"fathometer\[track\]"):
            sink.begin({})
