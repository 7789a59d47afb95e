"""Can samples be told apart by their gradients? From a thorough look."""

from collections.abc import Callable

from fathometer.diagnosis.evidence import Evidence
from fathometer.diagnosis.limits import GRAM_SPREAD, REACH, REACH_BATCH_NORM
from fathometer.diagnosis.rules.graded import INITIALISE
from fathometer.finding import Finding

REMEDIES = ("add_residual", *INITIALISE)


def shattered_gradients(evidence: Evidence) -> Finding | None:
    """Find gradients that have nothing in common with those of close neighbours."""
    reach = evidence.fact("gradient_reach")
    if reach is None:
        return None
    limits = REACH_BATCH_NORM if evidence.has_batch_norm else REACH
    severity = limits.severity(reach)
    if severity is None or evidence.learns:
        return None
    near = f"by less than {reach:.1g}" if reach > 0 else "by next to nothing"
    sentence = f"The gradients of two samples that differ {near} (1 minus their cosine) have half in common or less."
    return Finding("shattered_gradients", severity, sentence, reach, limits.of(severity), None, (), REMEDIES)


def gradients_alike(evidence: Evidence) -> Finding | None:
    """Find samples whose gradients are one: a step for one is a step for all."""
    spread, floor = evidence.fact("gram_spread"), evidence.fact("gram_floor")
    if spread is None or floor is None or spread >= GRAM_SPREAD or evidence.learns:
        return None
    lost = spread <= floor
    words = "by no more than rounding" if lost else f"by {spread:.1g} (1 minus their mean cosine)"
    sentence = f"The gradients of two samples differ {words}: a step for one is the same step for all."
    severity, limit = ("will not train", floor) if lost else ("at risk", GRAM_SPREAD)
    return Finding("correlation_collapse", severity, sentence, spread, limit, "spread", evidence.profile.points[-1:], INITIALISE)


OF_SAMPLES: dict[str, Callable[[Evidence], Finding | None]] = {"shattered_gradients": shattered_gradients}
