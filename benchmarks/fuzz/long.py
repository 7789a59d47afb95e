"""The long fuzz: kinds in turn, seeds kept, until the time is up."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Any

from benchmarks.fuzz.catalogue import KINDS
from benchmarks.fuzz.hunt import Found, Slice, hunt
from fathometer import json_text

Row = dict[str, Any]
KEPT = Path("build") / "fuzz" / "seeds.jsonl"  # a line for each slice: its kind, its seed, and what was found
MINUTES = 60.0
PRIME = 1_000_003  # sets the seeds of neighbouring rounds apart


def fuzz() -> list[Row]:
    """Return one row for each kind after an hour of fuzzing from the seed of today."""
    return fuzz_for(MINUTES, today())


def today() -> int:
    """Return a seed that is another one every day."""
    return int(datetime.now(UTC).strftime("%Y%m%d"))


def fuzz_for(minutes: float, seed: int, names: Iterable[str] = (), kept: Path = KEPT) -> list[Row]:
    """Fuzz the named kinds (all, if none is named) in turn for so many minutes of processor time, and return a row for each.

    Each slice draws `examples` inputs from a seed of its own, which is written down before it begins: a slice that ends the
    process can be had again.
    """
    chosen = [KINDS[name] for name in names] or list(KINDS.values())
    begin, turn = process_time(), 0
    done = list[Row]()
    kept.parent.mkdir(parents=True, exist_ok=True)
    while process_time() - begin < 60 * minutes:
        kind, number = chosen[turn % len(chosen)], seed * PRIME + turn // len(chosen)
        _write(kept, {"kind": kind.name, "seed": number, "state": "begun"})
        done.append(_keep(kept, hunt(kind, number)))
        turn += 1
    return [row_of([line for line in done if line["kind"] == kind.name], kind.name) for kind in chosen]


def rows_of(kept: Path = KEPT) -> list[Row]:
    """Return a row for each kind of all that was kept, also by several processes and on several days."""
    lines = [json_text.load(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    done = [line for line in lines if line["state"] == "done"]
    return [row_of([line for line in done if line["kind"] == name], name) for name in KINDS]


def replay(name: str, number: int) -> Slice:
    """Draw again what one seed draws of a kind."""
    return hunt(KINDS[name], number)


def row_of(lines: list[Row], name: str) -> Row:
    """Return the row of one kind from its slices that are done."""
    return {
        "kind": name,
        "examples": sum(line["examples"] for line in lines),
        "accepted": sum(line["accepted"] for line in lines),
        "failures": len({found["where"] for line in lines for found in line["found"]}),
        "seconds": round(sum(line["seconds"] for line in lines), 1),
        "seeds": len({line["seed"] for line in lines}),
    }


def _keep(kept: Path, slice: Slice) -> Row:
    row = {**vars(slice), "state": "done", "found": [vars(one) for one in slice.found]}
    _write(kept, row)
    for one in slice.found:
        print(found_text(one), flush=True)
    return row


def found_text(found: Found) -> str:
    """Return what was found, and how to have it again."""
    again = f"python -m benchmarks.fuzz --replay {found.seed} --kinds '{found.kind}'"
    return f"{found.kind}: {found.where}: {found.what}\n  {found.example}\n  Again: {again}"


def _write(kept: Path, row: Row) -> None:
    with kept.open("a", encoding="utf-8") as file:
        file.write(json_text.dump(row, indent=None) + "\n")
