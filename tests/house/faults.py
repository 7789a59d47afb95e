"""Write docs/faults.md: each fault that was injected, and what was lost."""

import json
from pathlib import Path
from typing import Any

from benchmarks.faults.bench import summary

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "benchmarks" / "results" / "faults.json"
PAGE = ROOT / "docs" / "faults.md"
Row = dict[str, Any]
HEAD = "| fault | what is promised | exit | what it said | lost | survived |\n|---|---|---|---|---|---|"
CONTROL_HEAD = "| room | fault | the guard that is off | exit | lost | survived |\n|---|---|---|---|---|---|"
ROOMS = {
    "train": "`fathometer train`, saving every 20 of 200 steps; and `fm.train` on a user's own module and batches.",
    "study": "`fathometer study` with 18 networks in 6 stacks.",
    "watch": "A user's own loop of 60 steps in `fm.watch`, each measured; the fault comes in step 30.",
    "preflight": "`fathometer preflight` of a user's own file.",
    "lab": "`fathometer lab`, its server and its workers.",
}
INTRODUCTION = """# What it survives

Processes are killed, disks fill, files are cut short, numbers stop being finite, memory runs out. Each line is a fault that was
injected into a process of its own, what is promised then, and what was seen. *Survived* means that the promise held: the exit
code, the words, nothing lost beyond what the line says, and, where a run goes on, the same weights as without the fault.

`make bench-faults` injects them all again; `make readme` writes this page from `benchmarks/results/faults.json`.
"""
CONTROLS = """## With the guard switched off

The same faults with our guard off. They should not be survived: else the table above could not say "no"."""


def rows(path: Path = RESULT) -> list[Row]:
    """Return the rows of the result, none where it was not measured yet."""
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []


def page(found: list[Row] | None = None) -> str:
    """Return the whole page."""
    found = rows() if found is None else found
    if not found:
        return INTRODUCTION + "\nNot measured yet.\n"
    text = summary(found)
    parts = [INTRODUCTION.strip(), f"**{text[0].upper()}{text[1:]}.**"]
    for room, words in ROOMS.items():
        own = [row for row in found if row["room"] == room and not row["control"]]
        parts.append(f"## {room}\n\n{words}\n\n" + ("\n".join([HEAD, *map(_line, own)]) if own else "Not measured yet."))
    return (
        "\n\n".join([*parts, "\n".join([CONTROLS, "", CONTROL_HEAD, *(_control(row) for row in found if row["control"])])]) + "\n"
    )


def _line(row: Row) -> str:
    return _cells(row["fault"], row["promise"], _code(row), _said(row["message"]), row["lost"], _yes(row))


def _control(row: Row) -> str:
    return _cells(row["room"], row["fault"], row["promise"].removeprefix("control: "), _code(row), row["lost"], _yes(row))


def _cells(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _code(row: Row) -> str:
    return "–" if row["code"] is None else str(row["code"])


def _said(message: str) -> str:
    """Return a message as code."""
    return f"`{message.replace('`', chr(39))}`" if message else "–"


def _yes(row: Row) -> str:
    return {True: "yes", False: "**no**", None: "not tried"}[row["survived"]]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
