"""Run the benchmarks by name, all if none is given; print a table and write `benchmarks/results/NAME.json`."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.blocks import blocks
from benchmarks.depth_cost import depth_cost
from benchmarks.depth_figure import depth_figure
from benchmarks.faults.bench import faults
from benchmarks.features import features
from benchmarks.flops import flops
from benchmarks.forecast_cost import forecast_cost
from benchmarks.full_size import full_size
from benchmarks.full_size_exact import full_size_exact
from benchmarks.full_size_steps import full_size_steps
from benchmarks.full_size_twins import full_size_twins
from benchmarks.fuzz.long import fuzz
from benchmarks.gpu.table import gpu
from benchmarks.import_time import import_time
from benchmarks.lab_speed import lab_speed
from benchmarks.law_fit import law_fit
from benchmarks.lesson import lesson
from benchmarks.look_memory import look_memory
from benchmarks.many import many, many_processes
from benchmarks.packaging import packaging
from benchmarks.peers import peers
from benchmarks.preflight_cost import preflight_cost
from benchmarks.studies import studies
from benchmarks.synonyms import synonyms
from benchmarks.trained import trained
from benchmarks.training import training
from benchmarks.versions import versions
from benchmarks.watch import watch
from benchmarks.watch_faults import watch_faults
from benchmarks.watch_peers import watch_peers
from benchmarks.zoo.mending import zoo_mend
from benchmarks.zoo.score import zoo_score
from benchmarks.zoo.table import zoo_truth
from fathometer.json_text import dump
from fathometer.records import this_machine

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]

# A new benchmark is one file with a function that returns rows, and one line here.
BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    "blocks": blocks,
    "depth_cost": depth_cost,
    "depth_figure": depth_figure,
    "faults": faults,
    "features": features,
    "flops": flops,
    "forecast_cost": forecast_cost,
    "full_size": full_size,
    "full_size_exact": full_size_exact,
    "full_size_steps": full_size_steps,
    "full_size_twins": full_size_twins,
    "gpu": gpu,
    "fuzz": fuzz,
    "import_time": import_time,
    "lab_speed": lab_speed,
    "law_fit": law_fit,
    "lesson": lesson,
    "look_memory": look_memory,
    "many": many,
    "many_processes": many_processes,
    "packaging": packaging,
    "peers": peers,
    "preflight_cost": preflight_cost,
    "studies": studies,
    "synonyms": synonyms,
    "trained": trained,
    "training": training,
    "versions": versions,
    "watch": watch,
    "watch_faults": watch_faults,
    "watch_peers": watch_peers,
    "zoo_mend": zoo_mend,
    "zoo_score": zoo_score,
    "zoo_truth": zoo_truth,
}

ASKED_FOR = ("gpu", "packaging", "versions")  # not part of all: they need a device, the registry's packages, other Pythons


def table(rows: list[Row]) -> str:
    """Return rows with the same keys as text in columns."""
    cells = [[str(key) for key in rows[0]], *[[_text(row[key]) for key in rows[0]] for row in rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells)


def result(name: str, rows: list[Row]) -> Row:
    """Return what is written: the rows, when and on which kind of machine they were measured."""
    today = datetime.now(UTC).date().isoformat()
    return {"benchmark": name, "date": today, "machine": asdict(this_machine(version("torch"))), "rows": rows}


def _text(value: object) -> str:
    words = {None: "-", True: "yes", False: "no"}
    if value is None or isinstance(value, bool):
        return words[value]
    if isinstance(value, list):
        return f"{len(value)} numbers"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def main(names: list[str]) -> int:
    """Run the named benchmarks, and return the exit status."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"There is no benchmark named {unknown[0]}. The known ones are: {', '.join(BENCHMARKS)}.", file=sys.stderr)
        return 2
    RESULTS.mkdir(exist_ok=True)
    for name in names or (name for name in BENCHMARKS if name not in ASKED_FOR):
        rows = BENCHMARKS[name]()
        (RESULTS / f"{name}.json").write_text(dump(result(name, rows)) + "\n", encoding="utf-8")
        print(f"{name}\n{table(rows)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
