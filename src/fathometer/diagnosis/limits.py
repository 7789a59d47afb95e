"""How much trouble a network bears, and how troubles add up."""

from dataclasses import dataclass
from itertools import pairwise
from math import inf, log10

from fathometer.diagnosis.evidence import LEARNS, Evidence, has_stream
from fathometer.finding.finding import Severity


@dataclass(frozen=True)
class Limits:
    """Where "at risk" and "will not train" begin for a number that is judged by itself."""

    at_risk: float
    will_not_train: float

    def severity(self, number: float) -> Severity | None:
        """Return how bad the number is; limits that fall ("too small") count downwards."""
        sign = 1 if self.will_not_train >= self.at_risk else -1
        if sign * number >= sign * self.will_not_train:
            return "will not train"
        return "at risk" if sign * number >= sign * self.at_risk else None

    def of(self, severity: Severity) -> float:
        """Return the limit of a severity."""
        return self.will_not_train if severity == "will not train" else self.at_risk


@dataclass(frozen=True)
class Bears:
    """What a network bears of one trouble: `alone` stops training by itself; below 1, `shape` weighs the first decades more."""

    alone: float
    shape: float

    def share(self, size: float) -> float:
        """Return the part of what can be borne that this size uses up."""
        return (max(size, 0.0) / self.alone) ** self.shape


# Set on trained networks: JOURNAL.md, "Where the limits come from", has the command and the table.
# Decades of second moments along depth; a share of activations for saturation.
BEARS: dict[str, Bears] = {
    "dead_units": Bears(1.25, 1.9),  # share in the worst block; deep ReLU blocks have 0.7 without harm of their own
    "saturation": Bears(1.05, 1.05),  # share in the worst block
    "rank_collapse": Bears(6.8, 1.7),  # decades of directions, first over last block
    "attention_entropy_collapse": Bears(1.2, 2.0),  # 1 minus the entropy of the sharpest head
    "attention_logit_growth": Bears(3.9, 1.9),  # decades above 1
    "exploding_signal": Bears(10.0, 1.2),
    "vanishing_signal": Bears(18.5, 1.7),
    "exploding_gradient": Bears(18.0, 0.75),
    "vanishing_gradient": Bears(15.0, 0.65),  # gradient over the size of what it pulls at, first block over last
    "correlation_collapse": Bears(13.5, 0.85),  # spread of the samples, input over last block
    "token_rank_collapse": Bears(12.0, 0.5),  # spread of the tokens of one sample, first over last block
}
PASSES_BY = 0.6  # what is flat or dead in a branch passes by on the stream: it counts for this much
PLAIN_DEPTH = Bears(70.0, 1.1)  # blocks that keep nothing of their input are a trouble by themselves
STRAIN = Limits(0.6, 1.0)
UNDECIDED = (0.45, 6.0)  # between these the start alone is not enough: a few steps on a copy are looked at
DOOMED = 1.4  # beyond it only a network that learns after all is cleared
# What is left of the best constant answer's loss after those steps, and the strain that it stands for.
SETTLED = ((0.0, 0.3), (0.65, 0.6), (0.97, 1.0), (1.02, 1.1))
NAMED = 0.5  # a trouble is named when it is at least this part of the largest, or of what stops training by itself
FADING = ("vanishing_gradient", "correlation_collapse", "token_rank_collapse")  # one trouble, seen from several sides

LOSS_EXCESS = Limits(300.0, inf)  # nats above ln C: Adam at a large rate unlearns 100 within 200 steps
UPDATE_LARGE = Limits(0.1, 0.5)  # one step over the weights, middle block
UPDATE_SMALL = Limits(1e-4, 3e-5)  # the same, fastest block: 1,000 steps move the weights by 10% or 3% of their size at most
SUSPICIOUS_UPDATE = (1e-4, 0.02)  # beyond these a few steps of the optimizer are watched on a copy
GRAM_SPREAD = 3e-5  # of the gradients of single samples; all that train have more
REACH = Limits(6e-5, 1.1e-6)  # how near a neighbour must be for gradients to agree by half
REACH_BATCH_NORM = Limits(1e-5, 0.0)  # BatchNorm over 10 layers has 3e-5 and trains
MOST_DECADES = 40.0  # an exact zero counts as this many, and the sum stays finite


def troubles(evidence: Evidence) -> dict[str, float]:
    """Return what each graded cause amounts to, at least 0, in the unit of `BEARS`; unknown and ignored ones are left out."""
    gradient, signal = evidence.relative_gradient_decades, evidence.decades("signal")
    sizes = {
        **_in_blocks(evidence),
        "exploding_signal": None if signal is None else -signal,
        "vanishing_signal": signal,
        "exploding_gradient": gradient,
        "vanishing_gradient": None if gradient is None else -gradient,
        "correlation_collapse": _drawn_together(evidence, evidence.spread_decades),
        "token_rank_collapse": evidence.decades("token_spread"),
    }
    known = {cause: size for cause, size in sizes.items() if size is not None and cause not in evidence.ignored}
    return {cause: min(max(size, 0.0), MOST_DECADES) for cause, size in known.items()}


def _in_blocks(evidence: Evidence) -> dict[str, float | None]:
    worst = {name: evidence.worst(name) for name in ("dead", "saturated", "attention_logits")}
    sizes = {name: None if found is None else found[1] for name, found in worst.items()}
    sharpest, logits = evidence.worst("attention_entropy", least=True), sizes["attention_logits"]
    return {
        "dead_units": sizes["dead"],
        "saturation": sizes["saturated"],
        "rank_collapse": evidence.rank_decades,
        "attention_entropy_collapse": None if sharpest is None else 1 - sharpest[1],
        "attention_logit_growth": None if logits is None or logits <= 0 else log10(logits),
    }


def _drawn_together(evidence: Evidence, spread: float | None) -> float | None:
    """Return the decades of spread that were lost: at least what stops training where nothing is left but rounding."""
    if spread is None:
        return None
    return max(-spread, BEARS["correlation_collapse"].alone) if evidence.spread_lost else -spread


def shares(evidence: Evidence) -> dict[str, float]:
    """Return what each cause uses up of what a network bears; 1 stops training by itself."""
    used = {cause: BEARS[cause].share(size) for cause, size in troubles(evidence).items()}
    for cause in ("saturation", "dead_units"):
        if cause in used and has_stream(evidence.profile):
            used[cause] *= PASSES_BY
    return used


def depth_share(evidence: Evidence) -> float:
    """Return what depth without a stream uses up by itself."""
    return PLAIN_DEPTH.share(evidence.plain_depth)


def strain(evidence: Evidence) -> float:
    """Return the sum of all shares; a gradient that fades and samples that draw together are one trouble seen twice."""
    used = shares(evidence)
    fading = [used.pop(cause) for cause in FADING if cause in used]
    return sum(used.values()) + max(fading, default=0.0) + depth_share(evidence)


def is_undecided(evidence: Evidence) -> bool:
    """Return whether the strain at the start leaves the verdict open."""
    return evidence.broken_by is None and UNDECIDED[0] <= strain(evidence) <= UNDECIDED[1]


def settled(evidence: Evidence) -> float:
    """Return the strain after what a few steps on a copy showed, where they were taken and the start left it open."""
    start, left = strain(evidence), evidence.fact("ahead_left")
    if left is None or not is_undecided(evidence) or (start > DOOMED and left >= LEARNS):
        return start
    return _between(SETTLED, left)


def _between(points: tuple[tuple[float, float], ...], x: float) -> float:
    """Return the height at x of the line through these points; outside of them that of the nearest end."""
    for (x0, y0), (x1, y1) in pairwise(points):
        if x <= x1:
            return y0 + (y1 - y0) * max(x - x0, 0.0) / (x1 - x0)
    return points[-1][1]
