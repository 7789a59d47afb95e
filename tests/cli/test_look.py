"""`fathometer look` ends in a page, in numbers, or in an error that says how to mend it."""

import json
from pathlib import Path

import pytest

from fathometer.cli import main

NET = """
import torch
from torch import nn


def net():
    torch.manual_seed(0)
    inputs = torch.randn(80, 8)
    print("the user's own words")
    return nn.Sequential(*[part for _ in range(3) for part in (nn.Linear(8, 8), nn.ReLU())], nn.Linear(8, 2)), (
        inputs, (inputs[:, 0] > 0).long())
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a network of a user, in which the command runs."""
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    """Run the command and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["look", *arguments])
    return int(str(ended.value.code))


def test_a_page_and_a_picture_are_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page is named after the target, the answer is printed, and what the user's code prints is not part of it."""
    assert run("net.py:net", "--figure", "likeness.png") == 0
    out = capsys.readouterr().out

    assert out.startswith("net: measured.")
    assert "the user's own words" not in out
    assert (folder / "look-net.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (folder / "likeness.png").read_bytes().startswith(b"\x89PNG")


def test_json_is_alone_on_stdout(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json nothing else is printed, and no page is written that was not asked for."""
    assert run("net.py:net", "--json", "--probe", "ridge", "--layers", "0", "2") == 0
    table = json.loads(capsys.readouterr().out)

    assert table["similarity"]["points"] == ["input", "0", "2"]
    assert not list(folder.glob("*.html"))


def test_a_preset_is_looked_at_as_it_starts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A spec brings its own batch."""
    assert run("mlp-5", "--probe", "ridge") == 0

    assert capsys.readouterr().out.startswith("mlp-5, as it starts: measured.")
    assert (folder / "look-mlp-5.html").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing",), "There is no preset"),
        (("hf:nowhere",), "config.json"),
        (("net.py:net", "--layers", "9"), "match no module"),
        (("net.py:net", "--html", "none/page.html"), "cannot be written"),
        (("net.py:net", "--figure", "likeness.jpg"), "The suffix says the format"),
        (("scenes", "--steps", "0"), "`steps` is 0"),
    ],
)
def test_a_mistake_is_an_error_that_says_so(
    arguments: tuple[str, ...], words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 2, without a traceback."""
    assert run(*arguments) == 2
    err = capsys.readouterr().err

    assert words in err
    assert "Traceback" not in err
