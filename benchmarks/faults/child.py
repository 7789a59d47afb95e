"""Work in a process of its own, with a fault done to it from outside."""

import ctypes
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HERE = re.compile(re.escape(tempfile.gettempdir()) + r"/\w+/")  # a folder of one machine, made for the fault alone
SECONDS = 300  # after which whatever runs is counted as hung
Row = dict[str, Any]
Work = Callable[[], object]


@dataclass(frozen=True)
class Ended:
    """How a process ended: the exit code, as a shell says it, and what it said."""

    code: int | None
    text: str

    @property
    def message(self) -> str:
        """Return the line that says what was wrong: the last error, else the last line at all."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("error: ")]
        return (errors or lines or [""])[-1]


@dataclass
class Child:
    """A process that was forked, so that it need not import torch, and the file with all that it says."""

    pid: int
    said: Path
    code: int | None = None

    def is_over(self) -> bool:
        """Return whether it has ended."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = None if pid == 0 else os.waitstatus_to_exitcode(status)
        return self.code is not None

    def end(self) -> Ended:
        """Wait for its end; one that hangs is killed, and its code is 124."""
        hangs = not wait_until(self.is_over)
        if hangs:
            os.killpg(self.pid, signal.SIGKILL)
            wait_until(self.is_over)
        text = self.said.read_text(encoding="utf-8", errors="replace")
        self.said.unlink()
        assert self.code is not None
        return Ended(124 if hangs else self.code if self.code >= 0 else 128 - self.code, text)


def start(work: Work, *, largest_file: int | None = None, room_bytes: int | None = None, has_no_rights: bool = False) -> Child:
    """Start work that hears signals; its files, and its memory, may not grow past a size."""
    handle, name = tempfile.mkstemp()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.close(handle)
        return Child(pid, Path(name))
    code = 1
    try:
        os.setpgrp()
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))  # a test has put others there
        warnings.resetwarnings()  # and made them errors, or keeps them
        warnings.showwarning = lambda message, kind, *place: print(f"{kind.__name__}: {message}", file=sys.stderr)
        _limit(largest_file, room_bytes, has_no_rights)
        work()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _limit(largest_file: int | None, room_bytes: int | None, has_no_rights: bool) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts this in the background has it ignored
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    if room_bytes is not None:
        held = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + room_bytes, held + room_bytes))
    if has_no_rights and os.geteuid() == 0:
        _give_up_rights()


def _give_up_rights() -> None:
    """Have root stopped by a folder that is read-only, as anyone is: it gives up CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""
    system = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert system.capget(header, sets) == 0
    for place in (0, 1):  # effective and permitted, of the first 32
        sets[place] &= ~0b110
    assert system.capset(header, sets) == 0


def command(*words: object) -> Work:
    """Return the work of one `fathometer` command."""

    def work() -> None:
        from fathometer.cli import main

        main([str(word) for word in words])

    return work


def run(work: Work, **limits: Any) -> Ended:
    """Do work to its end."""
    return start(work, **limits).end()


def struck(work: Work, is_time: Callable[[], bool], signals: Sequence[int]) -> Ended:
    """Start work, send it signals one after another once it is time, and wait for its end."""
    child = start(work)
    wait_until(lambda: child.is_over() or is_time())
    for place, number in enumerate(signals):
        time.sleep(0.02 * bool(place))
        if not child.is_over():
            os.kill(child.pid, number)
    return child.end()


def wait_until(condition: Callable[[], bool], seconds: float = SECONDS) -> bool:
    """Wait until something is so, and return whether it came to be."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def workers_of(pid: int) -> list[int]:
    """Return the workers that a process has started, the youngest last; what multiprocessing keeps for itself is none."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [int(child) for child in found if "resource_tracker" not in _told(int(child), "cmdline")]


def is_there(pid: int) -> bool:
    """Return whether a process runs."""
    return ") Z " not in (_told(pid, "stat") or ") Z ")


def lines_in(path: Path) -> int:
    """Return how many whole lines a file has; none where it is not there."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def row(room: str, fault: str, promise: str, ended: Ended, lost: str, survived: bool, *, control: bool = False) -> Row:
    """Return a row of the table; work that ends with a traceback has not survived."""
    return {
        "room": room,
        "fault": fault,
        "promise": promise,
        "code": ended.code,
        "message": _HERE.sub("", ended.message)[:300],
        "lost": lost,
        "survived": survived and "Traceback" not in ended.text,
        "control": control,
    }


def _told(pid: int, what: str) -> str:
    try:
        return Path(f"/proc/{pid}/{what}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
