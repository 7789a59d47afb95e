"""Verdicts over the zoo, against its truth: how often right, and how."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from benchmarks.zoo.entry import Entry
from benchmarks.zoo.split import entries
from benchmarks.zoo.table import all_known
from benchmarks.zoo.tasks import task
from benchmarks.zoo.truth import is_settled
from fathometer.diagnosis import preflight

Row = dict[str, Any]
VERDICTS = ("healthy", "at risk", "will not train", "unknown")


def zoo_score() -> list[Row]:
    """Return one row for each network of both parts: truth, verdict, the causes above a note, and what the look cost.

    Nothing is chosen by the scored part; every run of it is dated in `benchmarks/results/zoo_score.json`.
    """
    known, rows = {row["name"]: row for row in all_known()}, []
    for part in ("develop", "scored"):
        for number, entry in enumerate(entries(part), start=1):
            if entry.name in known:
                rows.append(judged(part, entry, known[entry.name]))
            if number % 50 == 0:
                print(f"{part}: {number} networks", flush=True)
        print(summary([row for row in rows if row["part"] == part]))
    return rows


def judged(part: str, entry: Entry, truth: Row) -> Row:
    """Return the row of one network."""
    model = entry.model()
    optimizer = entry.optimizer(model) if entry.optimizer else None
    check = preflight(model, task(entry.task).preflight_batch(), loss_fn=entry.loss_fn, optimizer=optimizer)
    causes = [finding.cause for finding in check.findings if finding.severity != "note"]
    names = [] if entry.fault is None else [entry.fault, *entry.near]
    return {
        "part": part,
        "network": entry.name,
        "family": entry.family,
        "truth": truth["truth"],
        "settled": is_settled(truth),
        "verdict": check.verdict,
        "expected": " or ".join(names),
        "causes": " ".join(causes),
        "first": bool(causes) and causes[0] in names,
        "among three": any(cause in names for cause in causes),
        "closer look": "ahead_left" in check.profile.facts,
    }


def summary(rows: Iterable[Row]) -> str:
    """Return the rates over rows: verdicts, false alarms, causes, with Wilson intervals of 95%."""
    rows = list(rows)
    settled = [row for row in rows if row["settled"]]
    sick = [row for row in rows if row["expected"] and row["truth"] != "healthy"]
    healthy = [row for row in rows if row["truth"] == "healthy"]
    lines = [
        rate("verdict right", rows, lambda row: row["verdict"] == row["truth"]),
        rate("verdict right, where truth is settled", settled, lambda row: row["verdict"] == row["truth"]),
        rate("healthy called will not train", healthy, lambda row: row["verdict"] == "will not train"),
        rate("healthy called at risk", healthy, lambda row: row["verdict"] == "at risk"),
        rate("right cause first, of planted faults that harm", sick, lambda row: row["first"]),
        rate("right cause among at most three", sick, lambda row: row["among three"]),
    ]
    counts = Counter((row["truth"], row["verdict"]) for row in rows)
    said = ((truth, ", ".join(f"{counts[truth, verdict]} {verdict}" for verdict in VERDICTS)) for truth in VERDICTS[:3])
    return "\n".join([*lines, *(f"  truth {truth}: {words}" for truth, words in said)])


def rate(what: str, rows: list[Row], is_so: Any) -> str:
    """Return how often something is so, with Wilson's interval (Wilson 1927)."""
    number, right = len(rows), sum(bool(is_so(row)) for row in rows)
    if not number:
        return f"{what}: none"
    z, share = 1.96, right / number
    middle = (share + z**2 / (2 * number)) / (1 + z**2 / number)
    half = z * (share * (1 - share) / number + z**2 / (4 * number**2)) ** 0.5 / (1 + z**2 / number)
    return f"{what}: {right} of {number} = {share:.1%} ({max(middle - half, 0):.1%} to {min(middle + half, 1):.1%})"
