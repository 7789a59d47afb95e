"""Preflight and mending, told as the page shows them."""

from itertools import count
from time import monotonic
from typing import Any

from fathometer.depth_profile import DepthProfile
from fathometer.diagnosis import Attempt, Preflight, mend, preflight
from fathometer.finding import Finding
from fathometer.lab.answers import drawn
from fathometer.lab.orders import Order, Tell
from fathometer.lab.work.bench import set_up
from fathometer.records import Asked

TELL_EVERY = 0.1  # seconds between two reports of progress
TRIAL_STEPS = 150
MEASURED = ("signal", "gradient", "correlation", "branch_ratio", "dead", "saturated", "rank")


def work_preflight(order: Order, tell: Tell) -> dict[str, Any]:
    """Measure the network before training and judge it."""
    bench = set_up(order)
    tell({"event": "progress", "text": "measuring every layer", "done": 0, "total": 1})
    check = preflight(bench.model, bench.case.batch, optimizer=bench.optimizer(), seed=bench.setting.seed)
    return {"kind": "preflight", "check": check_table(check), "remedy": bench.remedy}


def work_mend(order: Order, tell: Tell) -> dict[str, Any]:
    """Find the smallest remedy that is proved to work, and tell of each as it is tried."""
    bench = set_up(order)
    tell({"event": "progress", "text": "measuring every layer", "done": 0, "total": 1})
    asked = Asked(steps=TRIAL_STEPS, batch_size=bench.asked.batch_size, optimizer=bench.asked.optimizer, clip=bench.asked.clip)
    batches = bench.material.list_of(bench.material.train)
    told, titles = [0.0], dict[str, int]()
    numbers = count(1)

    def progress(text: str, done: int, total: int) -> None:
        if text not in titles:
            titles[text] = next(numbers)
        elif monotonic() - told[0] < TELL_EVERY and done < total:
            return
        told[0] = monotonic()
        tell({"event": "progress", "text": text, "done": done, "total": total, "trial": titles[text]})

    optimizer = bench.optimizer()
    fix = mend(
        bench.model, bench.case.batch, data=batches, asked=asked, optimizer=optimizer, seed=bench.setting.seed, progress=progress
    )
    proved = next((place for place, attempt in enumerate(fix.tried) if attempt is fix.proved), None)
    return {
        "kind": "mend",
        "check": check_table(fix.before),
        "tried": [attempt_table(attempt, place) for place, attempt in enumerate(fix.tried)],
        "proved": proved,
        "needed": fix.needed,
        "evidence": fix.evidence,
        "blind_loss": fix.trial_before.blind_loss,
        "loss_before": fix.trial_before.middle_loss,
    }


def check_table(check: Preflight) -> dict[str, Any]:
    """Return a preflight for the page."""
    return {
        "verdict": check.verdict,
        "sentence": check.sentence,
        "findings": [_finding_table(finding) for finding in check.findings],
        "profile": profile_table(check.profile),
        "forecast": None if check.forecast is None else drawn(check.forecast),
        "notes": list(check.notes),
        "facts": {name: check.profile.facts.get(name) for name in ("loss", "batch_size", "num_parameters")},
    }


def profile_table(profile: DepthProfile) -> dict[str, Any]:
    """Return a measured profile for the page, with the names of its points."""
    table = drawn(profile, columns=MEASURED)
    return {**table, "points": [profile.points[index - 1] for index in table["at"]]}


def attempt_table(attempt: Attempt, place: int) -> dict[str, Any]:
    """Return a remedy and what came of it for the page."""
    return {
        "place": place,
        "name": attempt.remedy.name,
        "title": attempt.remedy.title,
        "why": attempt.remedy.why,
        "invasiveness": attempt.remedy.invasiveness,
        "code": attempt.remedy.code,
        "outcome": attempt.outcome,
        "came": attempt.why,
        "verdict": None if attempt.after is None else attempt.after.verdict,
        "loss": None if attempt.trial is None else attempt.trial.middle_loss,
        "profile": None if attempt.after is None else profile_table(attempt.after.profile),
    }


def _finding_table(finding: Finding) -> dict[str, Any]:
    return {
        "cause": finding.cause,
        "title": finding.title,
        "severity": finding.severity,
        "sentence": finding.sentence,
        "consequence": finding.consequence,
        "points": list(finding.points[:3]),
    }
