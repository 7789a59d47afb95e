"""The table of what holds on a GPU: each row in a process of its own, kept as it is measured, none measured twice."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from benchmarks.gpu import looking, training, watching
from benchmarks.gpu.sizes import FULL, TINY, Sizes

Row = dict[str, Any]
KEPT = Path(__file__).parents[1] / "results" / "gpu.jsonl"  # a run that was stopped goes on from here
REHEARSE = "`python -m benchmarks.gpu --tiny --out FOLDER`"
SECONDS, LEAST = 570.0, 20.0  # of all rows together; with less than that left none is begun


@dataclass(frozen=True)
class Target:
    """What is hoped for: at most, or at least, so much."""

    limit: float
    at_least: bool = False

    def verdict(self, measured: float) -> str:
        """Return whether it is met."""
        return "met" if (measured >= self.limit if self.at_least else measured <= self.limit) else "missed"

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"


@dataclass(frozen=True)
class Job:
    """What measures some rows, its longest seconds, and the targets by what is measured; what has none is told only."""

    run: Callable[[Sizes], list[Row]]
    seconds: float
    targets: dict[str, Target]


# In the order of their weight: what comes last waits for another run where the time is up.
JOBS: dict[str, Job] = {
    "tests marked gpu": Job(looking.marked_tests, 90, {"tests that fail": Target(0)}),
    "train 96 x 1024, ours": Job(training.train_ours, 120, {"utilisation": Target(0.5, at_least=True)}),
    "train 96 x 1024, plain loop": Job(training.train_plain, 120, {}),
    "train 96 x 1024, Hugging Face": Job(training.train_hugging_face, 120, {}),
    "watch": Job(watching.watch_time, 150, {"every 1": Target(1.10), "every 10": Target(1.02), "every 50": Target(1.01)}),
    "watch, unmeasured steps": Job(watching.watch_waits, 90, {"waits, said by torch": Target(0), "waits, profiled": Target(0)}),
    "many at once": Job(looking.many_at_once, 120, {"times the loop": Target(20, at_least=True)}),
    "preflight GPT-2 XL": Job(looking.look_at_weights, 90, {"seconds": Target(60), "memory over a step's": Target(1.3)}),
    "full size 175B": Job(looking.full_size, 60, {"seconds": Target(10)}),
    "full size 10T": Job(looking.full_size_more, 90, {"seconds": Target(60)}),
    "watch, memory": Job(watching.watch_memory, 90, {"peak memory": Target(1.02)}),
    "Adam, 3 steps of 175B": Job(looking.adam_steps, 120, {"seconds a step": Target(20)}),
    "train 96 deep, the widest that fits": Job(training.train_widest, 150, {"utilisation": Target(0.5, at_least=True)}),
}
RATIOS = {"plain loop": Target(1.0, at_least=True), "Hugging Face": Target(1.0, at_least=True)}


def gpu(sizes: Sizes = FULL, kept: Path = KEPT, names: tuple[str, ...] = tuple(JOBS)) -> list[Row]:
    """Return the table; rows of `kept` that were measured are taken from there, what failed is tried anew.

    A row that fails, or takes too long, says so and the next one begins. A rehearsal gives no verdict: it says that the
    code runs, and its numbers mean nothing.
    """
    if not sizes.rehearsal and not torch.cuda.is_available():
        raise SystemExit(f"No CUDA device here: {len(names)} rows wait for one. {REHEARSE} tries their code on this CPU.")
    start = perf_counter()
    if kept.exists():
        found = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
        done = [row for row in found if row["verdict"] not in ("failed", "not run")]
    else:
        done = []
    for name in names:
        if any(row["row"] == name for row in done):
            continue
        left = SECONDS - (perf_counter() - start)
        rows = (
            _rows(name, sizes, min(JOBS[name].seconds, left)) if left >= LEAST else [_unmeasured(name, "not run", "no time left")]
        )
        done += rows
        kept.parent.mkdir(parents=True, exist_ok=True)
        with kept.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        print(*(f"{row['row']}: {row['what']} {row['measured']} {row['verdict']}" for row in rows), sep="\n", file=sys.stderr)
    return [*done, *_ratios(done, sizes)]


def _rows(name: str, sizes: Sizes, limit: float) -> list[Row]:
    line = [sys.executable, "-c", f"from benchmarks.gpu.table import run; run({name!r}, {sizes.rehearsal})"]
    try:
        told = subprocess.run(line, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return [_unmeasured(name, "failed", f"took longer than {limit:.0f} s")]
    if told.returncode:
        return [_unmeasured(name, "failed", _last(told.stderr))]
    return [_judged(name, row, sizes) for row in json.loads(told.stdout.splitlines()[-1])]


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["it ended without a word"])[-1][:300]


def _judged(name: str, row: Row, sizes: Sizes) -> Row:
    target = JOBS[name].targets.get(row["what"])
    return _with_verdict({"row": name, **row}, target, sizes)


def _with_verdict(row: Row, target: Target | None, sizes: Sizes) -> Row:
    if sizes.rehearsal:
        verdict = "ran"
    elif row["measured"] is None:
        verdict = "unknown"
    else:
        verdict = "told" if target is None else target.verdict(row["measured"])
    return {
        "row": row["row"],
        "what": row["what"],
        "target": None if target is None else str(target),
        "measured": row["measured"],
        "verdict": verdict,
        "detail": row["detail"],
    }


def _unmeasured(name: str, verdict: str, why: str) -> Row:
    return {"row": name, "what": None, "target": None, "measured": None, "verdict": verdict, "detail": why}


def _ratios(rows: list[Row], sizes: Sizes) -> list[Row]:
    """Return our speed over that of the others, of what was measured."""
    speed = {row["row"].partition(", ")[2]: row["measured"] for row in rows if row["what"] == "tokens a second"}
    found = []
    for other, target in RATIOS.items():
        if "ours" in speed and other in speed:
            row = {"row": "train 96 x 1024", "what": f"ours over {other}", "detail": "tokens a second, the rows above"}
            found.append(_with_verdict({**row, "measured": speed["ours"] / speed[other]}, target, sizes))
    return found


def run(name: str, rehearsal: bool) -> None:
    """Measure the rows of one job, and print them."""
    print("\n" + json.dumps(JOBS[name].run(TINY if rehearsal else FULL)))
