"""Steps of the user's optimizer: too large, too small, too sharp."""

from collections.abc import Callable
from math import inf

from fathometer.diagnosis.evidence import Evidence
from fathometer.diagnosis.limits import SUSPICIOUS_UPDATE, UPDATE_LARGE, UPDATE_SMALL
from fathometer.finding import Finding, Severity

DOUBLED, LEARNT = 2.0, 0.9  # the loss after a few own steps over the first one: it runs away, or it has come down


def update_size(evidence: Evidence) -> Finding | None:
    """Find steps that are far too large or far too small for the weights they move.

    Large ones that bring the loss down all the same, in sixteen steps on a copy, are a risk at most.
    """
    sizes = sorted(value for _, value in evidence.profile.known("update"))
    if not sizes:
        return None
    middle, fastest = sizes[len(sizes) // 2], sizes[-1]
    large, small = UPDATE_LARGE.severity(middle), UPDATE_SMALL.severity(fastest)
    if large is not None:
        return _finding(_borne(evidence, large), "In the middle block", middle)
    return None if small is None else _finding(small, "Even in the fastest block", fastest)


def curvature(evidence: Evidence) -> Finding | None:
    """Find a loss that runs away in a few of the user's own steps, though these are of a usual size for the weights."""
    rise, least = evidence.fact("own_rise"), evidence.fact("own_least")
    if rise is None or least is None or rise < DOUBLED or update_size(evidence) is not None:
        return None
    words = "is no longer finite" if rise == inf else f"is {rise:.3g} times the first"
    sentence = f"After sixteen steps of this optimizer on this batch the loss {words}."
    severity: Severity = "will not train" if least > LEARNT else "at risk"
    return Finding("curvature", severity, sentence, rise, DOUBLED, None, (), ("change_rate", "clip"))


def looks_odd(evidence: Evidence) -> bool:
    """Return whether the first step is so large or so small that a few more should be watched."""
    sizes = sorted(value for _, value in evidence.profile.known("update"))
    low, high = SUSPICIOUS_UPDATE
    return bool(sizes) and not low < sizes[len(sizes) // 2] < high


def _borne(evidence: Evidence, severity: Severity) -> Severity:
    least, rise = evidence.fact("own_least"), evidence.fact("own_rise")
    return "at risk" if least is not None and rise is not None and max(least, rise / DOUBLED) < LEARNT else severity


def _finding(severity: Severity, where: str, number: float) -> Finding:
    limits = UPDATE_LARGE if number >= UPDATE_LARGE.at_risk else UPDATE_SMALL
    sentence = f"{where} one step moves the weights by {number:.2g} of their size; about 0.001 is usual."
    return Finding("update_size", severity, sentence, number, limits.of(severity), "update", (), ("change_rate",))


OF_STEPS: dict[str, Callable[[Evidence], Finding | None]] = {"update_size": update_size, "curvature": curvature}
