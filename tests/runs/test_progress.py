"""The bar shows itself only on a terminal, and only when it is slow."""

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
    with progress_bar(3) as advance:
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


def test_without_a_terminal_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log file gets no bars, however slow the run."""
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", -1.0)

    assert drawn(StringIO(), monkeypatch) == ""
