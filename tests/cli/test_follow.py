"""`fathometer follow` shows a run that goes on, one that ended, and one that was only trained."""

import json
from pathlib import Path
from typing import Any

import pytest

from fathometer.cli import main
from fathometer.sinks import JsonLines


def write(folder: Path, alert: bool = False, ended: bool = True) -> None:
    """Write a run of 30 steps and 20 layers, whose gradient falls towards the first layer."""
    sink = JsonLines(folder)
    sink.begin({"model": "Net", "price": "standard"})
    for step in range(1, 31):
        columns = {"gradient": [10.0 ** (place - 20) for place in range(20)], "update": [0.001] * 20}
        points = [f"blocks.{place}" for place in range(20)]
        row = {"step": step, "loss": 2 / step, "losses": [[step, 2 / step]], "columns": columns, "points": points, "facts": {}}
        sink.log({**row, "cost": "30 of 30 steps measured"}, step)
    if alert:
        words = {"sentence": "The loss is not finite.", "points": ["blocks.7"], "gravity": "failure"}
        sink.alert({"name": "non_finite", "step": 30, **words}, 30)
    if ended:
        sink.end({"step": 30, "how": "finished"})
    elif sink._file is not None:
        sink._file.close()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run the command; return its exit code and what it printed."""
    with pytest.raises(SystemExit) as ended:
        main(["follow", *arguments])
    return int(ended.value.code or 0), capsys.readouterr().out


def test_a_run_that_ended_is_shown_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Steps, losses, a heatmap that darkens downwards, and what it cost; exit code 0."""
    write(tmp_path)
    code, text = run(capsys, str(tmp_path))
    heat = [line for line in text.splitlines() if (set(line) <= set(" ░▒▓█") and len(line) > 20) or line.strip("█") == ""]

    assert code == 0
    assert "Net: finished at step 30, 30 measured, 0 alerts" in text
    assert "loss" in text
    assert any(set(line) == {"█"} for line in heat)
    assert "top: blocks.19, bottom: blocks.0" in text
    assert "30 of 30 steps measured" in text


@pytest.mark.parametrize("end", [{"step": 33}, {"step": 33, "losses": [[31, 0.06], [32, 0.06], [33, 0.05]]}, {}])
def test_the_end_says_at_which_step(end: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may lie behind the last measured step; an old record says no step there."""
    write(tmp_path, ended=False)
    with (tmp_path / "watch.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"kind": "end", "how": "finished", **end}) + "\n")

    assert f"finished at step {end.get('step', 30)}, 30 measured" in run(capsys, str(tmp_path))[1]
    assert len(json.loads(run(capsys, str(tmp_path), "--json")[1])["losses"]) == 30 + len(end.get("losses", ()))


def test_an_alert_is_told_with_its_layer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What went wrong makes the exit code 1, and names the layer that moved first."""
    write(tmp_path, alert=True, ended=False)
    code, text = run(capsys, str(tmp_path), "--once", "--column", "update")

    assert code == 1
    assert "up to step 30" in text
    assert "step 30  non_finite: The loss is not finite. First moved: blocks.7." in text


def test_json_is_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json nothing but JSON is printed: losses, alerts, the last measured step."""
    write(tmp_path)
    code, text = run(capsys, str(tmp_path), "--json")
    found = json.loads(text)

    assert (code, found["schema"], found["measured"], len(found["losses"])) == (0, "fathometer.follow/1", 30, 30)
    assert found["last"]["columns"]["update"] == [0.001] * 20


def test_a_run_that_was_only_trained_has_its_losses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The log of `fathometer train` will do."""
    lines = [json.dumps({"step": step, "loss": 1 / step}) for step in range(1, 9)]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + '\n{"step": 9, "lo', encoding="utf-8")
    code, text = run(capsys, str(tmp_path), "--once")

    assert code == 0
    assert "up to step 8, 0 measured" in text


@pytest.mark.parametrize("seconds", ["0", "-1", "nan"])
def test_the_time_between_two_looks_is_above_0(seconds: str, tmp_path: Path) -> None:
    """A time that nobody can wait is an error in words."""
    write(tmp_path)

    assert run_error(tmp_path, seconds) == 2


def run_error(folder: Path, seconds: str) -> int:
    """Return the exit code of the command with that time."""
    with pytest.raises(SystemExit) as ended:
        main(["follow", str(folder), "--seconds", seconds])
    return int(ended.value.code or 0)
