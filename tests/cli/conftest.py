"""What the tests of the command share: files as users write them, and a run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jaxtyping
import pytest

from fathometer.cli import main

OPENING = """
import sys
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
x, y = torch.randn(32, 16), torch.randint(0, 4, (32,))


def net(depth=4, width=16):
    layers = [part for _ in range(depth) for part in (nn.Linear(width, width), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(width, 4))


class Wrapped(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.net, self.answer = net(), answer

    def forward(self, x):
        return self.answer(self.net, x)


"""


@dataclass(frozen=True)
class Run:
    """What came of one command: the exit code and what was printed."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def as_a_user_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn the type checks of the tests off: a user's wrong type must meet our own error."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Return a function that runs the command in this process, on a terminal 100 characters wide."""
    monkeypatch.setenv("COLUMNS", "100")

    def command(*arguments: str | Path) -> Run:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Run(ended.value.code, printed.out, printed.err)

    return command


@pytest.fixture
def user_file(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a user's file: the opening above, then the lines given."""

    def write(text: str, name: str = "net.py", opening: str = OPENING) -> Path:
        path = tmp_path / name
        path.write_text(opening + text, encoding="utf-8")
        return path

    return write
