"""Verdicts over the zoo, against its truth: how often right, and how."""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks.zoo.chance import share_text
from benchmarks.zoo.entry import Entry
from benchmarks.zoo.split import entries
from benchmarks.zoo.table import all_known
from benchmarks.zoo.tasks import PREFLIGHT, task
from benchmarks.zoo.truth import is_settled
from fathometer.contract import loss_of
from fathometer.diagnosis import Preflight, preflight
from fathometer.diagnosis.evidence import Evidence

Row = dict[str, Any]
LOG = Path(__file__).parents[1] / "results" / "zoo_score_log.jsonl"
SCALES, SOME = (65536.0, 1e-6), 4  # of the loss, tried on one network in so many
UNKNOWN_OF_TWO = {"correlation_collapse", "rank_collapse", "dead_units", "batchnorm_explosion"}  # what two samples cannot tell
VERDICTS = ("healthy", "at risk", "will not train", "unknown")


def zoo_score() -> list[Row]:
    """Return one row for each network of both parts: truth, verdict, the causes above a note, and what the look cost.

    Each network is also looked at with two samples, and every fourth with its loss times 65,536 and 1e-6. Nothing is chosen
    by the scored part; every run adds its rates, with the date, to `benchmarks/results/zoo_score_log.jsonl`.
    """
    known, rows = {row["name"]: row for row in all_known()}, []
    for part in ("develop", "scored"):
        for number, entry in enumerate(entries(part), start=1):
            if entry.name in known:
                rows.append(judged(part, entry, known[entry.name]))
            if number % 50 == 0:
                print(f"{part}: {number} networks", flush=True)
        print(summary([row for row in rows if row["part"] == part]))
    with LOG.open("a", encoding="utf-8") as file:
        file.write(json.dumps(logged(rows)) + "\n")
    return rows


def logged(rows: list[Row]) -> Row:
    """Return the line of the log: the date, and the rates of both parts as words."""
    parts = {part: summary([row for row in rows if row["part"] == part]).splitlines() for part in ("develop", "scored")}
    return {"date": datetime.now(UTC).date().isoformat(), **parts}


def judged(part: str, entry: Entry, truth: Row) -> Row:
    """Return the row of one network."""
    check, few = look(entry), look(entry, samples=2)
    has_scale = entry.seed % SOME == 0 and entry.optimizer is None and not task(entry.task).as_dict
    scaled = [look(entry, scale=scale) for scale in SCALES] if has_scale else []
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
        "verdict of two": few.verdict,
        "may be unknown of two": set(causes) <= UNKNOWN_OF_TWO or Evidence(few.profile).batch_norm_is_blind,
        "one verdict at any scale": all(_said(each) == _said(check) for each in scaled) if scaled else None,
    }


def look(entry: Entry, *, samples: int = PREFLIGHT, scale: float | None = None) -> Preflight:
    """Return the preflight of a network, made anew."""
    model = entry.model()
    optimizer = entry.optimizer(model) if entry.optimizer else None
    loss_fn = entry.loss_fn if scale is None else partial(scaled_loss, scale=scale, loss_fn=entry.loss_fn)
    return preflight(model, task(entry.task).preflight_batch(samples), loss_fn=loss_fn, optimizer=optimizer)


def scaled_loss(output: Any, targets: Any, *, scale: float, loss_fn: Any) -> Tensor:
    """Return the loss of an entry, or the default one, times a number."""
    loss = loss_of(output, targets, loss_fn)
    assert loss is not None
    return scale * loss


def _said(check: Preflight) -> tuple[str, list[str]]:
    return check.verdict, [finding.cause for finding in check.findings]


def summary(rows: Iterable[Row]) -> str:
    """Return the rates over rows: verdicts, false alarms, causes, with Wilson intervals of 95%."""
    rows = list(rows)
    settled = [row for row in rows if row["settled"]]
    sick = [row for row in rows if row["expected"] and row["truth"] != "healthy"]
    healthy = [row for row in rows if row["truth"] == "healthy"]
    tried = [row for row in rows if row["one verdict at any scale"] is not None]
    lines = [
        rate("verdict right", rows, lambda row: row["verdict"] == row["truth"]),
        rate("verdict right, where truth is settled", settled, lambda row: row["verdict"] == row["truth"]),
        rate("healthy called will not train", healthy, lambda row: row["verdict"] == "will not train"),
        rate("healthy called at risk", healthy, lambda row: row["verdict"] == "at risk"),
        rate("two samples give the verdict of 64", rows, _agrees),
        rate("the loss times 65,536 or 1e-6 changes nothing", tried, lambda row: row["one verdict at any scale"]),
        rate("healthy called will not train, from two samples", healthy, lambda row: row["verdict of two"] == "will not train"),
        rate("right cause first, of planted faults that harm", sick, lambda row: row["first"]),
        rate("right cause among at most three", sick, lambda row: row["among three"]),
    ]
    counts = Counter((row["truth"], row["verdict"]) for row in rows)
    said = ((truth, ", ".join(f"{counts[truth, verdict]} {verdict}" for verdict in VERDICTS)) for truth in VERDICTS[:3])
    return "\n".join([*lines, *(f"  truth {truth}: {words}" for truth, words in said)])


def _agrees(row: Row) -> bool:
    unknown = row["verdict of two"] == "unknown" and row["may be unknown of two"]
    return unknown or row["verdict of two"] == row["verdict"]


def rate(what: str, rows: list[Row], is_so: Any) -> str:
    """Return how often something is so, with its interval."""
    return f"{what}: {share_text(sum(bool(is_so(row)) for row in rows), len(rows))}"
