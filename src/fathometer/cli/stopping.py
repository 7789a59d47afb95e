"""Ctrl-C and SIGTERM: the first ends in order, the next one at once."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

BY_SIGNAL = 128  # plus its number: the exit code of a process that a signal has ended, as a shell says it
SIGNALS = (signal.SIGINT, signal.SIGTERM)
Handler = Callable[[int, FrameType | None], None]


@contextmanager
def in_order() -> Iterator[list[int]]:
    """Make SIGTERM an interrupt, as Ctrl-C is; after either, the next one ends the process at once, wherever it is.

    Hands out the signals that came. What is being written is whole or not there all the same, as after a kill.
    """
    came = list[int]()

    def hear(number: int, frame: FrameType | None) -> None:
        if came:
            os._exit(BY_SIGNAL + number)
        came.append(number)
        raise KeyboardInterrupt

    with _handled(hear):
        yield came


@dataclass
class Told:
    """Whether a run was told to stop: asked after each step, and from the first one on a signal waits for that."""

    number: int | None = None
    is_stepping: bool = False

    def __call__(self) -> bool:
        """Return whether to stop now that a step is done."""
        self.is_stepping = True
        return self.number is not None

    @property
    def code(self) -> int:
        """Return the exit code of a run that was stopped."""
        return BY_SIGNAL + (self.number or signal.SIGINT)


@contextmanager
def between_steps() -> Iterator[Told]:
    """Have the first signal wait for the end of the step, so that it can be kept; the next one does not wait."""
    told, inner = Told(), {number: signal.getsignal(number) for number in SIGNALS}

    def hear(number: int, frame: FrameType | None) -> None:
        if told.is_stepping and told.number is None:
            told.number = number
            print("Stopping after this step, to keep it. Once more stops at once.", file=sys.stderr, flush=True)
            return
        handler = inner[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)
        raise KeyboardInterrupt

    with _handled(hear):
        yield told


@contextmanager
def _handled(hear: Handler) -> Iterator[None]:
    """Have the signals handled so, but for those that are ignored, as in the background of a shell; elsewhere do nothing."""
    before = dict[signal.Signals, Any]()
    try:
        for number in SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, hear)
    except ValueError:  # not the main thread: no signals come here
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
