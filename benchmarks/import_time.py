"""Seconds until the command says something, each paired with an empty Python."""

import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

REPEATS = 11
LIMIT_SECONDS = 0.5  # for `fathometer --help`; above it a command feels slow
EMPTY = [sys.executable, "-c", "pass"]
COMMAND = str(Path(sys.executable).with_name("fathometer"))
MEASURED: dict[str, tuple[list[str], float | None]] = {
    "fathometer --help": ([COMMAND, "--help"], LIMIT_SECONDS),
    "fathometer preflight --help": ([COMMAND, "preflight", "--help"], LIMIT_SECONDS),
    "import fathometer": ([sys.executable, "-c", "import fathometer"], LIMIT_SECONDS),
    "fathometer.Mlp(depth=96)": ([sys.executable, "-c", "import fathometer; fathometer.Mlp(depth=96)"], None),
    "the built-in text, read and counted": ([sys.executable, "-c", "from fathometer.data import text; text()"], None),
    "import torch, for comparison": ([sys.executable, "-c", "import torch"], None),
}


def import_time() -> list[dict[str, Any]]:
    """Return one row for each command: the median wall seconds, those above an empty Python's, and whether it kept its limit.

    Every repeat times the empty Python right before the command, so that a busy machine slows both. One unmeasured run
    comes first, to have the files in memory.
    """
    rows = []
    for name, (command, limit) in MEASURED.items():
        seconds(command)
        pairs = [(seconds(EMPTY), seconds(command)) for _ in range(REPEATS)]
        row = {"command": name, "seconds": median(own for _, own in pairs), "above_python": median(b - a for a, b in pairs)}
        kept = None if limit is None else row["seconds"] <= limit
        rows.append({**row, "limit": limit, "kept": kept, "repeats": REPEATS})
    return rows


def seconds(command: list[str]) -> float:
    """Return the wall seconds of one run; raise if it fails, for then there is nothing to time."""
    start = perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return perf_counter() - start
