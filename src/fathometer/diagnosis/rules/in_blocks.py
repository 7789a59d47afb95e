"""Troubles of one block: dead, flat, few directions, sharp attention."""

from collections.abc import Callable

from fathometer.diagnosis.evidence import Evidence
from fathometer.diagnosis.limits import DEAD_HARMLESS, MOST_DECADES
from fathometer.diagnosis.rules.graded import INITIALISE, graded
from fathometer.finding import Finding

LOGITS = ("shrink_queries", "initialise", "initialise_by_measurement")


def dead_units(evidence: Evidence) -> Finding | None:
    """Find a block whose ReLUs are 0 for every sample."""
    worst = evidence.worst("dead")
    if worst is None:
        return None
    where, share = worst
    sentence = f"{share:.0%} of the units in {where} are 0 for every sample."

    def share_at(left: float) -> float:
        return DEAD_HARMLESS + (share - DEAD_HARMLESS) * left

    return graded(evidence, "dead_units", share, sentence, "dead", (where,), INITIALISE, share_at)


def saturation(evidence: Evidence) -> Finding | None:
    """Find blocks whose activations sit where they are flat."""
    worst = evidence.worst("saturated")
    if worst is None:
        return None
    where, share = worst
    sentence = f"{share:.0%} of the activations in {where} are flat: their slope is under 1% of the largest."
    return graded(evidence, "saturation", share, sentence, "saturated", (where,), INITIALISE)


def rank_collapse(evidence: Evidence) -> Finding | None:
    """Find activations that keep a few directions of many."""
    ends = evidence.ends("rank")
    if ends is None:
        return None
    first, last = ends
    sentence = f"The samples differ in {last:.1f} directions after the last block, and in {first:.1f} after the first."
    remedies = ("initialise_orthogonal", "add_norm", "add_residual")

    def rank_at(left: float) -> float:
        return first * (last / first) ** left

    return graded(evidence, "rank_collapse", last, sentence, "rank", evidence.profile.points[-1:], remedies, rank_at)


def attention_entropy_collapse(evidence: Evidence) -> Finding | None:
    """Find attention that looks at next to one key, whatever the query."""
    worst = evidence.worst("attention_entropy", least=True)
    if worst is None:
        return None
    where, entropy = worst
    sentence = f"A head in {where} has {entropy:.0%} of the entropy of looking at all keys alike: it sees next to one key."

    def entropy_at(left: float) -> float:
        return 1 - (1 - entropy) * left

    return graded(evidence, "attention_entropy_collapse", entropy, sentence, "attention_entropy", (where,), LOGITS, entropy_at)


def attention_logit_growth(evidence: Evidence) -> Finding | None:
    """Find attention logits that are far larger than a softmax can answer to."""
    worst = evidence.worst("attention_logits")
    if worst is None:
        return None
    where, size = worst
    sentence = f"The attention logits in {where} spread by {size:.3g} around their mean; about 1 or less is usual at the start."

    def size_at(left: float) -> float:
        return min(size, 10**MOST_DECADES) ** left

    return graded(evidence, "attention_logit_growth", size, sentence, "attention_logits", (where,), LOGITS, size_at)


IN_BLOCKS: dict[str, Callable[[Evidence], Finding | None]] = {
    "dead_units": dead_units,
    "saturation": saturation,
    "attention_entropy_collapse": attention_entropy_collapse,
    "attention_logit_growth": attention_logit_growth,
    "rank_collapse": rank_collapse,
}
