"""The table of faults: each injected, and what was lost, room by room."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.faults.child import Row
from benchmarks.faults.lab import lab_rows
from benchmarks.faults.looking import preflight_rows, watch_rows
from benchmarks.faults.numbers import not_finite, out_of_memory
from benchmarks.faults.study import study_rows
from benchmarks.faults.train import train_rows
from fathometer.diagnosis import preflight

PARTS: dict[str, Callable[[Path], list[Row]]] = {
    "train": train_rows,
    "numbers": not_finite,
    "study": study_rows,
    "watch": watch_rows,
    "preflight": preflight_rows,
    "memory": out_of_memory,
    "lab": lab_rows,
}


def faults() -> list[Row]:
    """Return a row for each fault: what is promised, what was seen, what was lost, and whether it was survived.

    Controls are faults whose guard is switched off: they should not be survived, or the bench could not say no.
    """
    rows = [row for name in PARTS for row in part(name)]
    print(summary(rows))
    return rows


def part(name: str) -> list[Row]:
    """Return the rows of one part, in a folder of its own that others may enter."""
    os.environ["PYTHONPATH"] = str(Path(preflight.__code__.co_filename).parents[2])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    preflight("mlp-5@width=8")  # what is slow to import is there before work is forked
    try:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            return PARTS[name](Path(folder))
    finally:
        torch.set_num_threads(threads)


def summary(rows: list[Row]) -> str:
    """Return how many faults were survived, and how many controls were not."""
    known = [row for row in rows if row["survived"] is not None]
    tried, controls = ([row for row in known if row["control"] is control] for control in (False, True))
    well, caught = sum(row["survived"] for row in tried), sum(not row["survived"] for row in controls)
    return f"survived {well} of {len(tried)}; without the guard not survived {caught} of {len(controls)}"
