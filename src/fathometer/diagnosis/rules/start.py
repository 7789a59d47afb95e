"""What is wrong at the very start: numbers, the first guess, the loss."""

from collections.abc import Callable
from math import inf

from fathometer.diagnosis.evidence import Evidence
from fathometer.diagnosis.limits import LOSS_EXCESS
from fathometer.finding import Finding


def non_finite(evidence: Evidence) -> Finding | None:
    """Find a forward or backward pass that overflows, or divides by zero, from finite weights and data."""
    if evidence.broken_by is None:
        return None
    sentence = f"The first number that is not finite comes from {evidence.broken_by}; weights and data are finite."
    where = tuple(name for name in evidence.profile.points if name == evidence.broken_at)[:1]
    return Finding("non_finite", "will not train", sentence, inf, 0.0, "signal", where)


def initial_loss(evidence: Evidence) -> Finding | None:
    """Find a classifier that starts sure of wrong answers."""
    loss, chance = evidence.fact("cross_entropy"), evidence.fact("chance_cross_entropy")
    if loss is None or chance is None or not loss < inf:
        return None
    excess = loss - chance
    severity = LOSS_EXCESS.severity(excess) or ("note" if excess > max(chance, 1.0) else None)
    if severity is None:
        return None
    sentence = f"The cross-entropy starts at {loss:.3g}; a fair guess among the classes has {chance:.3g}."
    return Finding("initial_loss", severity, sentence, excess, LOSS_EXCESS.at_risk, None, (), ("shrink_readout",))


def softmax_before_loss(evidence: Evidence) -> Finding | None:
    """Find probabilities that are given to a cross-entropy, which takes the softmax of them once more."""
    if not evidence.fact("outputs_are_probabilities"):
        return None
    classes = evidence.fact("classes") or 2.0
    sentence = "The outputs are probabilities, and the cross-entropy takes the softmax of them once more: its slope is small."
    return Finding("softmax_before_loss", "at risk", sentence, 1.0, classes, None, (), ("remove_softmax",))


AT_THE_START: dict[str, Callable[[Evidence], Finding | None]] = {
    "non_finite": non_finite,
    "softmax_before_loss": softmax_before_loss,
    "initial_loss": initial_loss,
}
