"""Progress shows itself only when it is slow: a bar on a terminal, else lines."""

import sys
from io import StringIO

import pytest

from fathometer.runs import progress
from fathometer.runs.progress import progress_bar


class Terminal(StringIO):
    """A stderr that says that someone is looking."""

    def isatty(self) -> bool:
        return True


def drawn(stream: StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what a run of three steps draws on a stream."""
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar(3, lambda step, loss: f"loss {loss:.3g}") as advance:
        for step in range(1, 4):
            advance(step, 0.5)
    return stream.getvalue()


def test_a_slow_run_on_a_terminal_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the patience is over the bar shows the steps and the loss."""
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", -1.0)

    text = drawn(Terminal(), monkeypatch)
    assert "3/3" in text
    assert "loss 0.5" in text


def test_a_fast_run_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is over at once leaves the terminal as it was."""
    assert drawn(Terminal(), monkeypatch) == ""


def test_without_a_terminal_there_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log file gets no bars but a line of text now and then; a fast run leaves nothing in it."""
    assert drawn(StringIO(), monkeypatch) == ""

    monkeypatch.setattr(progress, "LINE_SECONDS", -1.0)
    assert drawn(StringIO(), monkeypatch).splitlines() == [f"step {step}/3 · loss 0.5" for step in (1, 2, 3)]
