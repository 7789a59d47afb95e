"""Write docs/wrong.md: every network that verdict or mend gets wrong."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "wrong.md"
Row = dict[str, Any]
PARTS = {"scored": "families that were only scored", "develop": "families that limits were set on"}
HEAD = "| family | network | fault | strength | truth | said | first finding |\n|---|---|---|---|---|---|---|"
MEND_HEAD = "| family | network | fault | strength | before | after | what `mend` did |\n|---|---|---|---|---|---|---|"
INTRODUCTION = """# What it gets wrong

Every network of the zoo that `preflight` or `mend` gets wrong, one line each; the rates are in the [README](../README.md).
Truth is training: the share of a known-good twin's drop of the loss, at the best of a sweep of learning rates; from 90% a network
is healthy, under 50% it will not train. A line with ± is a network whose truth another order of batches changes.
This page is written by `make readme` from `benchmarks/results/`.
"""


def rows_of(name: str, root: Path = RESULTS) -> list[Row]:
    """Return the rows of a result, none where it was not measured yet."""
    path = root / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []


def planted(root: Path = RESULTS) -> dict[str, Row]:
    """Return what was planted in each network, by name."""
    lines = (root / "zoo_truth.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["name"]: row for row in map(json.loads, lines)}


def page(root: Path = RESULTS) -> str:
    """Return the whole page."""
    known, scores, mends = planted(root), rows_of("zoo_score", root), rows_of("zoo_mend", root)
    parts = [INTRODUCTION]
    for part, words in PARTS.items():
        inside = [row for row in scores if row["part"] == part]
        parts.append(f"## Verdicts: {words}\n\n{_verdicts(inside, known)}")
    for part, words in PARTS.items():
        inside = [row for row in scores if row["part"] == part]
        parts.append(f"## The right verdict, and another cause first: {words}\n\n{_causes(inside, known)}")
    for part, words in PARTS.items():
        inside = [row for row in mends if row["part"] == part and row["way"] == "mend"]
        parts.append(f"## `mend`: {words}\n\n{_mended(inside, known)}")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _verdicts(rows: list[Row], known: dict[str, Row]) -> str:
    wrong = [row for row in rows if row["verdict"] != row["truth"]]
    counts = Counter((row["truth"], row["verdict"]) for row in wrong).most_common()
    how = "; ".join(f"{count} {truth} called {said}" for (truth, said), count in counts)
    return _listed(wrong, len(rows), HEAD, [_line(row, known) for row in wrong], how)


def _causes(rows: list[Row], known: dict[str, Row]) -> str:
    harmed = [row for row in rows if row["expected"] and row["truth"] != "healthy" and row["verdict"] == row["truth"]]
    wrong = [row for row in harmed if not row["first"]]
    return _listed(wrong, len(harmed), HEAD, [_line(row, known) for row in wrong])


def _mended(rows: list[Row], known: dict[str, Row]) -> str:
    wrong = [row for row in rows if row["truth"] != "healthy"]
    lines = []
    for row in wrong:
        did = row["remedy"] if row["remedy"] != "none" else "nothing was proved"
        advice = f"; advice: {', '.join(row['advice'])}" if row["advice"] else ""
        numbers = f"{row['before']:.2f} | {row['share']:.2f}"
        lines.append(f"| {_who(row['network'], row['family'], known)} | {numbers} | {did}{advice} |")
    return _listed(wrong, len(rows), MEND_HEAD, lines)


def _listed(wrong: list[Row], number: int, head: str, lines: list[str], how: str = "") -> str:
    if not number:
        return "Not measured yet."
    count = f"{len(wrong)} of {number}." + (f" {how[0].upper()}{how[1:]}." if how else "")
    return "\n".join([count, "", head, *lines]) if wrong else count


def _line(row: Row, known: dict[str, Row]) -> str:
    truth = row["truth"] + ("" if row["settled"] else " ±")
    first = row["causes"].split(" ")[0] or "–"
    return f"| {_who(row['network'], row['family'], known)} | {truth} | {row['verdict']} | {first} |"


def _who(network: str, family: str, known: dict[str, Row]) -> str:
    row = known[network]
    short = network.removeprefix(f"{family}: ")
    return f"{family} | {short} | {row['fault'] or '–'} | {row['strength'] or '–'}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
