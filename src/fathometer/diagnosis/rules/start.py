"""What is wrong at the very start: numbers, the first guess, the loss."""

from collections.abc import Callable
from math import e, inf, log, log1p

from fathometer.diagnosis.evidence import Evidence
from fathometer.diagnosis.rules.graded import graded
from fathometer.finding import Finding, Severity

NOTED = 0.3  # decades: a first loss of twice a fair guess
HALF_WAY = 0.5


def non_finite(evidence: Evidence) -> Finding | None:
    """Find a forward or backward pass that overflows, or divides by zero, from finite weights and data."""
    if evidence.broken_by is None:
        return None
    sentence = f"The first number that is not finite comes from {evidence.broken_by}; weights and data are finite."
    where = tuple(name for name in evidence.profile.points if name == evidence.broken_at)[:1]
    return Finding("non_finite", "will not train", sentence, inf, 0.0, "signal", where)


def initial_loss(evidence: Evidence) -> Finding | None:
    """Find outputs that start sure of wrong answers: a note, unless they are too far off to be unlearnt."""
    decades = evidence.excess_decades
    if decades is None or decades < NOTED:
        return None
    classes = evidence.fact("cross_entropy") is not None
    loss, fair = ("cross_entropy", "chance_cross_entropy") if classes else ("squared_error", "least_squared_error")
    what, guess = ("cross-entropy", "a fair guess among the classes") if classes else ("squared error", "the mean target")
    sentence = f"The {what} starts at {evidence.fact(loss):.3g}; {guess} has {evidence.fact(fair):.3g}."
    found = graded(evidence, "initial_loss", decades, sentence, None, (), ("shrink_readout",))
    return found or Finding("initial_loss", "note", sentence, decades, NOTED, None, (), ("shrink_readout",))


def softmax_before_loss(evidence: Evidence) -> Finding | None:
    """Find probabilities that are given to a cross-entropy, which takes the softmax of them once more.

    With C classes that loss cannot fall under log(1 + (C - 1)/e): with more than two, under half of the way from ln C to 0.
    """
    if not evidence.fact("outputs_are_probabilities"):
        return None
    classes = evidence.fact("classes") or 2.0
    least = log1p((classes - 1) / e)
    way = 1 - least / log(classes)
    sentence = f"The outputs are probabilities, and the cross-entropy takes their softmax once more: it stays above {least:.2f}."
    severity: Severity = "will not train" if way < HALF_WAY else "at risk"
    return Finding("softmax_before_loss", severity, sentence, way, HALF_WAY, None, (), ("remove_softmax",))


AT_THE_START: dict[str, Callable[[Evidence], Finding | None]] = {
    "non_finite": non_finite,
    "softmax_before_loss": softmax_before_loss,
}
