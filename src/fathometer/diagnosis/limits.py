"""How much trouble a network bears, and how troubles add up."""

from dataclasses import dataclass
from math import inf

from fathometer.diagnosis.evidence import Evidence, has_stream
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


# Set on trained networks: JOURNAL.md, "Where the limits come from", has the command and the table.
# What stops training when nothing else is wrong; decades of second moments, but for rank and saturation.
BEARS: dict[str, float] = {
    "saturation": 1.2,  # share of flat activations: never enough by itself, and with growing gradients it is
    "exploding_signal": 20.0,
    "vanishing_signal": 20.0,
    "exploding_gradient": 8.0,  # gradient over the size of what it pulls at, first block over last
    "vanishing_gradient": 12.0,
    "correlation_collapse": 12.0,  # spread of the samples, input over last block
    "rank_collapse": 2.5,  # decades of directions
}
SATURATED_STREAM = 2.0  # what is flat in a branch passes by on the stream
PLAIN_DEPTH, PLAIN_DEPTH_MOST = 140.0, 0.5  # blocks that keep nothing of their input: they lower the limits by half at most
STRAIN = Limits(0.6, 1.0)
NAMED = 0.5  # a trouble is named when it is at least this part of the largest, or of what stops training by itself
RANK_MAY_BE = 0.4  # what collapsed rank adds where it is not known: the most that was seen

DEAD = Limits(0.9, 1.0)  # 63 of 64 dead units in one block still train; deep ReLU blocks have 0.7 without harm of their own
LOSS_EXCESS = Limits(300.0, inf)  # nats above ln C: Adam at a large rate unlearns 100 within 200 steps
UPDATE_LARGE = Limits(0.1, 0.5)  # one step over the weights, middle block
UPDATE_SMALL = Limits(1e-6, 1e-8)  # the same, fastest block
MOST_DECADES = 40.0  # an exact zero counts as this many, and the sum stays finite


def troubles(evidence: Evidence) -> dict[str, float]:
    """Return what each graded cause amounts to, at least 0, in the unit of `BEARS`; unknown and ignored ones are left out."""
    gradient, signal = evidence.relative_gradient_decades, evidence.decades("signal")
    spread, rank = evidence.spread_decades, evidence.rank_decades
    saturated = [share for _, share in evidence.profile.known("saturated")]
    sizes = {
        "saturation": max(saturated, default=None),
        "exploding_signal": None if signal is None else -signal,
        "vanishing_signal": signal,
        "exploding_gradient": gradient,
        "vanishing_gradient": None if gradient is None else -gradient,
        "correlation_collapse": _drawn_together(evidence, spread),
        "rank_collapse": rank,
    }
    known = {cause: size for cause, size in sizes.items() if size is not None and cause not in evidence.ignored}
    return {cause: min(max(size, 0.0), MOST_DECADES) for cause, size in known.items()}


def _drawn_together(evidence: Evidence, spread: float | None) -> float | None:
    """Return the decades of spread that were lost: at least what stops training where nothing is left but rounding."""
    if spread is None:
        return None
    return max(-spread, BEARS["correlation_collapse"]) if evidence.spread_lost else -spread


def shares(evidence: Evidence) -> dict[str, float]:
    """Return what each cause uses up of what a network bears; 1 stops training by itself."""
    used = {cause: size / BEARS[cause] for cause, size in troubles(evidence).items()}
    if "saturation" in used and has_stream(evidence.profile):
        used["saturation"] *= BEARS["saturation"] / SATURATED_STREAM
    return used


def depth_share(evidence: Evidence) -> float:
    """Return by how much depth without a stream lowers every limit."""
    return min(evidence.plain_depth / PLAIN_DEPTH, PLAIN_DEPTH_MOST)


def strain(evidence: Evidence) -> float:
    """Return the sum of all shares; a gradient that fades and samples that draw together are one trouble seen twice."""
    used = shares(evidence)
    fading = [used.pop(cause) for cause in ("vanishing_gradient", "correlation_collapse") if cause in used]
    return sum(used.values()) + max(fading, default=0.0) + depth_share(evidence)
