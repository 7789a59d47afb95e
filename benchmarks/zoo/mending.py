"""Does it train after `mend`? Against chance and three fixed remedies."""

import ast
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from time import process_time
from typing import Any

from benchmarks.zoo.diary import note
from benchmarks.zoo.entry import Entry
from benchmarks.zoo.mended import summary
from benchmarks.zoo.sample import COUNTS, drawn, sick, with_known_fix
from benchmarks.zoo.split import PARTS, entries
from benchmarks.zoo.truth import known, truth_of
from benchmarks.zoo.ways import WAYS, Treated, share_after
from fathometer.diagnosis import mend

Row = dict[str, Any]
KEPT = Path(__file__).parents[1] / "results" / "zoo_mend.jsonl"


def zoo_mend() -> list[Row]:
    """Return one row for each sick network of the sample and each way to treat it, and print the rates of both parts.

    What is not yet known is measured first, about forty minutes of one core for all; `KEPT` holds every row as
    it comes, so that a run that was stopped goes on. Every run over the scored part is noted in the diary with its date.
    """
    rows = [row for part in PARTS for row in run(part, say=lambda line: print(line, flush=True))]
    for part in PARTS:
        print(f"{part}\n{summary([row for row in rows if row['part'] == part])}")
    return rows


def run(
    part: str,
    ways: Iterable[str] = WAYS,
    *,
    chosen: list[Entry] | None = None,
    path: Path = KEPT,
    diary: Callable[[str, str, str], object] = note,
    say: Callable[[str], object] = print,
) -> list[Row]:
    """Treat the networks of a part's sample that are not yet in the file, one line each as it goes; return the rows of all."""
    truth, kept, before = known(), read(path), 0
    chosen = drawn(with_known_fix(sick(entries(part), truth)), COUNTS[part]) if chosen is None else chosen
    ways, rows = list(ways), list[Row]()
    for number, entry in enumerate(chosen, start=1):
        row, drop = truth[entry.name], truth[f"twin of {entry.task}"]["drop"]
        for way in ways:
            old = kept.get((entry.name, way))
            if old is None or old["drop"] != drop:
                old = measure(part, entry, way, row, drop)
                keep(old, path)
                before += 1
                say(f"{number}/{len(chosen)} {line(old)}")
            rows.append(old)
    stale = sum(row["way"] == "mend" and row["code"] != code_of_mend() for row in rows)
    if stale:
        say(f"{stale} networks were mended by other code than today's: `python -m benchmarks.zoo anew` treats them again")
    if before and chosen:
        diary("zoo_mend", part, summary(rows))
    return rows


def measure(part: str, entry: Entry, way: str, truth: Row, drop: float) -> Row:
    """Treat one network in one way, train it as truth is made, and return the row; a failure of the treatment is a result."""
    start, share = process_time(), truth["share"]
    try:
        treated = WAYS[way](entry)
    except Exception as problem:  # whatever it raises, the network was not mended
        treated = Treated(None, said=f"{type(problem).__name__}: {problem}"[:200])
    treating = process_time() - start
    if treated.model is not None:
        try:
            share = share_after(entry, treated, drop)
        except Exception as problem:  # a remedy that broke the network
            share, treated = -1.0, replace(treated, said=f"{type(problem).__name__}: {problem}"[:200])
    return {
        "part": part, "network": entry.name, "family": entry.family, "fault": entry.fault, "strength": entry.strength,
        "fix": entry.fix, "way": way, "before": truth["share"], "share": share, "truth": truth_of(share),
        "remedy": treated.remedy, "invasiveness": treated.invasiveness, "tried": dict(treated.tried or {}),
        "advice": list(treated.advice), "said": treated.said, "drop": drop, "code": code_of_mend() if way == "mend" else "",
        "treating_seconds": round(treating, 2), "cpu_seconds": round(process_time() - start, 2),
    }  # fmt: skip


def code_of_mend() -> str:
    """Return a fingerprint of what mends: the diagnosis without the watch, which mending does not use, and without its words."""
    room = Path(mend.__code__.co_filename).parent
    files = [path for path in sorted(room.rglob("*.py")) if not path.name.startswith("watch")]
    return sha256("".join(map(_bare, files)).encode()).hexdigest()[:12]


def _bare(path: Path) -> str:
    """Return the code of a file as a tree, without comments, docstrings and imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [each for each in body if not _is_words(each)]
    return ast.dump(tree)


def _is_words(node: ast.AST) -> bool:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_text or isinstance(node, ast.Import | ast.ImportFrom)


def read(path: Path = KEPT) -> dict[tuple[str, str], Row]:
    """Return what was measured before, by network and way; of two lines the later."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {(row["network"], row["way"]): row for row in map(json.loads, lines)}


def keep(row: Row, path: Path) -> None:
    """Add one row to the file."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def forget(ways: Iterable[str] = ("mend",), path: Path = KEPT) -> int:
    """Take the rows of these ways that are of other code than today's out of the file, and return how many."""
    rows, ways = read(path).values(), set(ways)
    left = [row for row in rows if row["way"] not in ways or row["code"] == code_of_mend()]
    path.write_text("".join(json.dumps(row) + "\n" for row in left), encoding="utf-8")
    return len(rows) - len(left)


def line(row: Row) -> str:
    """Return one row as it is said while it runs."""
    words = f"{row['truth']:14} {row['before']:6.3f} -> {row['share']:6.3f} {row['cpu_seconds']:5.1f} s"
    return f"{words}  {row['way']:14} {row['remedy']:26} {row['network']}"
