"""The command trains, goes on, and says what came of it."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fathometer.records import Record
from fathometer.runs import keeping
from fathometer.sinks import read_run_record
from fathometer.training.checkpoint import checkpoints

FILE = """
folder = "FOLDER/run"
[network]
preset = "mlp-5"
[training]
steps = 30
optimizer = "adamw"
"""
Command = Callable[..., Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a RUN.toml whose folder lies beside it."""
    (tmp_path / "run.toml").write_text(FILE.replace("FOLDER", str(tmp_path)), encoding="utf-8")
    return tmp_path / "run.toml"


def test_a_run_ends_with_losses_held_out_and_time(file: Path, run: Command) -> None:
    """The last lines say what came of it and where it is kept; a second time nothing is trained, and the same is said."""
    first, second = run("train", file), run("train", file)

    assert first.code == 0
    assert first.out.startswith("Trained 30 steps in 0:00:0")
    assert "; held out " in first.out
    assert "% right" in first.out
    assert first.out.rstrip().replace("\n", "").endswith(f"Kept in {file.parent / 'run'}")
    assert second.out == first.out


def test_json_is_the_record_and_nothing_else(file: Path, run: Command) -> None:
    """What is printed is a record, with the changes of the command line in it."""
    result = run("train", file, "--json", "--set", "training.steps=3", "--set", "seed=2")
    record = Record.from_dict(json.loads(result.out))

    assert (result.code, result.err) == (0, "")
    assert (len(record.losses), record.asked.seed, record.asked.optimizer) == (3, 2, "adamw")


def test_a_run_that_is_lost_says_where_and_ends_with_1(file: Path, run: Command) -> None:
    """A rate far too high ends in a loss that is not finite: step and module are said."""
    result = run("train", file, "--set", "training.optimizer=sgd", "--set", "training.learning_rate=1e30")

    assert result.code == 1
    assert result.out.startswith("Stopped before step ")
    assert "the loss is not finite, first in blocks." in result.out


def test_stopped_from_outside_says_that_it_goes_on(file: Path, run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with 130 and no traceback, and the same command ends the run as if nothing had been."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(keeping.Keeping, "end", interrupted)
        result = run("train", file)
    assert (result.code, result.out) == (130, "")
    assert "goes on from the latest checkpoint" in result.err
    assert run("train", file).out.startswith("Trained 30 steps")


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Hear Ctrl-C, which a shell has its background jobs ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_waits_for_the_step_and_keeps_it(
    file: Path, run: Command, number: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told to stop in step 7 of a run that saves every tenth, it ends after that step with a checkpoint of it."""
    step = keeping.Keeping._log_step

    def told(self: Any, at: int, *rest: Any) -> None:
        step(self, at, *rest)
        if at == 7:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(keeping.Keeping, "_log_step", told)
        result = run("train", file, "--set", "training.save_every=10")

    assert (result.code, result.out) == (code, "")
    assert "Stopping after this step" in result.err
    assert [path.name for path in checkpoints(file.parent / "run" / "checkpoints")] == ["step-00000007"]
    assert signal.getsignal(number) is not signal.SIG_IGN
    assert run("train", file, "--set", "training.save_every=10").out.startswith("Trained 30 steps")


@pytest.mark.usefixtures("ctrl_c")
def test_a_second_signal_does_not_wait(file: Path, run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two within one step end the run at once, without that step's checkpoint."""
    step = keeping.Keeping._log_step

    def told(self: Any, at: int, *rest: Any) -> None:
        step(self, at, *rest)
        if at == 7:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(keeping.Keeping, "_log_step", told)
    result = run("train", file, "--set", "training.save_every=10")

    assert result.code == 130
    assert checkpoints(file.parent / "run" / "checkpoints") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.toml",), "There is no file"),
        (("FILE", "--set", "training.stps=3"), 'Did you mean "steps"?'),
        (("FILE", "--set", "training.steps"), "changes nothing"),
        (("FILE", "--resume", "previous"), "holds 0 checkpoints"),
    ],
)
def test_a_mistake_is_one_paragraph_and_2(arguments: tuple[str, ...], words: str, file: Path, run: Command) -> None:
    """On stderr, without a traceback, and nothing on stdout."""
    result = run("train", *[str(file) if part == "FILE" else part for part in arguments])

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")
    assert words in result.err
    assert "Traceback" not in result.err


def test_another_run_in_the_folder_is_refused(file: Path, run: Command) -> None:
    """The same file with another rate does not go on with the old run, and does not spoil it."""
    run("train", file)
    before = (file.parent / "run" / "run.toml").read_bytes()
    result = run("train", file, "--set", "training.learning_rate=0.5")

    assert result.code == 2
    assert "`training.learning_rate` is 0.001 there and 0.5 here" in result.err
    assert (file.parent / "run" / "run.toml").read_bytes() == before


def test_a_section_watch_has_every_layer_watched(file: Path, run: Command) -> None:
    """A run whose file has [watch] is kept with its measured steps, trains the same, and can be followed."""
    plain = Record.from_dict(json.loads(run("train", file, "--json").out))
    table = file.read_text(encoding="utf-8").replace("/run", "/watched") + "[watch]\nevery = 10\n"
    file.write_text(table, encoding="utf-8")

    watched = Record.from_dict(json.loads(run("train", file, "--json").out))
    followed = run("follow", file.parent / "watched", "--once", "--json")

    assert watched.losses == plain.losses
    assert json.loads(followed.out)["last"]["step"] == 30


@pytest.mark.parametrize(
    "line", ["evry = 10", 'price = "cheap"', 'every = "often"', 'stop_on = ["x"]', 'budget = "x"', "layers = 3"]
)
def test_a_wrong_wish_of_watch_is_told_before_the_first_step(file: Path, run: Command, line: str) -> None:
    """A wrong name or value in [watch] is an error with its mend, and no step is taken."""
    file.write_text(file.read_text(encoding="utf-8") + f"[watch]\n{line}\n", encoding="utf-8")

    result = run("train", file)

    assert result.code == 2
    assert result.err.count("\n") <= 2
    assert not (file.parent / "run" / "log.jsonl").exists() or not (file.parent / "run" / "log.jsonl").read_text(encoding="utf-8")


def test_a_watched_run_that_goes_on_counts_on(file: Path, run: Command) -> None:
    """A record that two processes wrote reads as one: what was done again after the checkpoint is not shown twice."""
    table = file.read_text(encoding="utf-8").replace("steps = 30", "steps = 30\nsave_every = 10") + "[watch]\nevery = 5\n"
    file.write_text(table, encoding="utf-8")
    run("train", file)
    folder = file.parent / "run"
    (folder / "record.json").unlink()
    newest = sorted((folder / "checkpoints").glob("step-*"))[-1]
    for path in sorted(newest.rglob("*")):
        path.unlink()
    newest.rmdir()

    again = run("train", file)
    record = read_run_record(folder)

    assert again.code == 0
    assert [row["step"] for row in record.rows] == [1, 5, 10, 15, 20, 25, 30]
    assert [step for step, _ in record.losses] == list(range(1, 31))
