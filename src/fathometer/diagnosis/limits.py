"""How much trouble a network bears, and how troubles add up."""

from dataclasses import dataclass
from math import log10

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
    "initial_loss": Bears(2.6, 1.2),  # decades of the first loss above that of the best constant answer
    "unused_parameters": Bears(10.0, 0.5),  # blocks that are cut off from the loss
    "frozen_parameters": Bears(1.4, 1.0),  # share of all parameters; a trunk that was trained before is frozen on purpose
    "dead_units": Bears(1.0, 1.5),  # share in the worst block, of what is above the harmless share
    "saturation": Bears(1.05, 1.05),  # share in the worst block
    "rank_collapse": Bears(6.8, 1.7),  # decades of directions, first over last block
    "attention_entropy_collapse": Bears(1.2, 2.0),  # 1 minus the entropy of the sharpest head
    "attention_logit_growth": Bears(3.9, 1.9),  # decades above 1
    "exploding_signal": Bears(10.0, 1.2),
    "vanishing_signal": Bears(18.5, 1.7),
    "exploding_gradient": Bears(18.0, 0.75),
    "vanishing_gradient": Bears(15.0, 0.65),  # gradient over the size of what it pulls at, first block over last
    "correlation_collapse": Bears(13.5, 0.85),  # spread of the samples, input over last block
    "token_rank_collapse": Bears(8.0, 0.6),  # spread of the tokens of one sample, what enters over last block
    "post_norm_imbalance": Bears(22.0, 1.1),  # blocks' worth of the stream that is new, where each block normalises it
}
# Through time the same weights learn from every step: what matters is how fast the past is lost, in decades a step.
BEARS_A_STEP: dict[str, Bears] = {"vanishing_gradient": Bears(0.9, 2.0), "exploding_gradient": Bears(0.3, 0.8)}
FORGETTING = ("vanishing_signal", "exploding_signal", "correlation_collapse", "rank_collapse")  # of which a state may do some
# From what size on a trouble is worth a word, where the strain is too much: in the same units.
NOTABLE: dict[str, float] = {
    "initial_loss": 1.0,
    "unused_parameters": 1.0,
    "frozen_parameters": 0.3,
    "dead_units": 0.5,
    "saturation": 0.4,
    "rank_collapse": 0.8,
    "attention_entropy_collapse": 0.6,
    "attention_logit_growth": 1.0,
    "exploding_signal": 2.5,
    "vanishing_signal": 4.0,
    "exploding_gradient": 3.0,
    "vanishing_gradient": 3.0,
    "correlation_collapse": 1.5,
    "token_rank_collapse": 1.2,
    "post_norm_imbalance": 8.0,
}
DEAD_HARMLESS = 0.7  # deep ReLU blocks have this share of dead units without harm of their own
PASSES_BY = 0.6  # what is flat or dead in a branch passes by on the stream: it counts for this much
PLAIN_DEPTH = Bears(70.0, 1.1)  # blocks that keep nothing of their input make every other trouble worse
DEPTH_TELLS = 0.4  # from so much strain of other troubles on, depth counts in full: a deep network without any trains
STRAIN = Limits(0.6, 0.9)
DOUBTFUL, OPEN_TO = 0.35, 3.0  # from so much without depth, up to so much in all, a few steps on a copy are looked at
STILL = (0.97, 1.1)  # what is left of the best constant answer's loss where nothing was learnt; beyond it the start was far off
NAMED = 0.5  # a trouble is named when it is, in units of `NOTABLE`, at least this part of the largest
# Troubles that are one, seen from several sides: the largest of them counts.
SIDES = (
    ("vanishing_gradient", "correlation_collapse", "token_rank_collapse", "unused_parameters", "post_norm_imbalance"),
    ("exploding_signal", "initial_loss"),
    ("attention_entropy_collapse", "attention_logit_growth"),
)

UPDATE_LARGE = Limits(0.1, 0.5)  # one step over the weights, middle block
UPDATE_SMALL = Limits(1e-4, 3e-5)  # the same, fastest block: 1,000 steps move the weights by 10% or 3% of their size at most
SUSPICIOUS_UPDATE = (1e-4, 0.02)  # beyond these a few steps of the optimizer are watched on a copy
GRAM_SPREAD = 3e-5  # of the gradients of single samples; all that train have more
REACH = Limits(6e-5, 1.1e-6)  # how near a neighbour must be for gradients to agree by half
REACH_BATCH_NORM = Limits(1e-5, 0.0)  # BatchNorm over 10 layers has 3e-5 and trains
MOST_DECADES = 40.0  # an exact zero counts as this many, and the sum stays finite


FIRM = ("saturation", "initial_loss", "unused_parameters", "attention_entropy_collapse", "attention_logit_growth")
FIRM_FROM = 0.35  # from so large a share on, what a few steps on one batch do not excuse


def troubles(evidence: Evidence) -> dict[str, float]:
    """Return what each graded cause amounts to, at least 0, in the unit of `BEARS`; unknown and ignored ones are left out."""
    gradient, signal = evidence.relative_gradient_decades, evidence.decades("signal")
    sizes = {
        **_at_the_start(evidence),
        **_in_blocks(evidence),
        "exploding_signal": None if signal is None else -signal,
        "vanishing_signal": signal,
        "exploding_gradient": gradient,
        "vanishing_gradient": None if gradient is None else -gradient,
        "correlation_collapse": _drawn_together(evidence, evidence.spread_decades),
        "token_rank_collapse": evidence.token_decades,
        "post_norm_imbalance": evidence.plain_depth if evidence.is_post_norm else None,
    }
    if evidence.is_through_time:
        sizes = {cause: size for cause, size in sizes.items() if cause not in FORGETTING}
    known = {cause: size for cause, size in sizes.items() if size is not None and cause not in evidence.ignored}
    return {cause: min(max(size, 0.0), MOST_DECADES) for cause, size in known.items()}


def _at_the_start(evidence: Evidence) -> dict[str, float | None]:
    frozen, total = evidence.fact("frozen_parameters"), evidence.fact("num_parameters")
    return {
        "initial_loss": evidence.excess_decades,
        "unused_parameters": evidence.fact("blocks_cut_off"),
        "frozen_parameters": frozen / total if frozen is not None and total else None,
    }


def _in_blocks(evidence: Evidence) -> dict[str, float | None]:
    worst = {name: evidence.worst(name) for name in ("dead", "saturated", "attention_logits")}
    sizes = {name: None if found is None else found[1] for name, found in worst.items()}
    sharpest, logits = evidence.worst("attention_entropy", least=True), sizes["attention_logits"]
    return {
        "dead_units": None if sizes["dead"] is None else (sizes["dead"] - DEAD_HARMLESS) / (1 - DEAD_HARMLESS),
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
    steps = max(evidence.depth - 1, 1)
    of_steps = {cause: Bears(bears.alone * steps, bears.shape) for cause, bears in BEARS_A_STEP.items()}
    bears = BEARS | (of_steps if evidence.is_through_time else {})
    used = {cause: bears[cause].share(size) for cause, size in troubles(evidence).items()}
    for cause in ("saturation", "dead_units"):
        if cause in used and has_stream(evidence.profile):
            used[cause] *= PASSES_BY
    return used


def depth_share(evidence: Evidence) -> float:
    """Return what depth without a stream uses up, where there is some other trouble for it to add to.

    Where blocks normalise the stream, depth is a trouble of its own, and not counted twice.
    """
    is_counted = not (evidence.is_through_time or evidence.is_post_norm)
    return PLAIN_DEPTH.share(evidence.plain_depth) if is_counted else 0.0


def strain(evidence: Evidence) -> float:
    """Return what all troubles use up together, with the depth that makes them worse."""
    total = without_depth(evidence)
    return total + depth_share(evidence) * min(total / DEPTH_TELLS, 1.0)


def without_depth(evidence: Evidence) -> float:
    """Return the sum of all shares; of troubles that are one, seen from several sides, the largest."""
    used = shares(evidence)
    one_of = [max((used.pop(cause) for cause in causes if cause in used), default=0.0) for causes in SIDES]
    return sum(used.values()) + sum(one_of)


def notable(evidence: Evidence) -> dict[str, float]:
    """Return each trouble in units of what is worth a word."""
    return {cause: size / NOTABLE[cause] for cause, size in troubles(evidence).items()}


def is_undecided(evidence: Evidence) -> bool:
    """Return whether a few steps may still clear what the start would condemn, or tell a doubt from a risk."""
    start = strain(evidence)
    is_doubtful = start >= STRAIN.at_risk or without_depth(evidence) >= DOUBTFUL
    return evidence.broken_by is None and is_doubtful and start <= OPEN_TO


def settled(evidence: Evidence) -> float:
    """Return the strain; none where a few steps on a copy learnt their batch, a risk where a doubtful one stood still."""
    start, left = strain(evidence), evidence.fact("ahead_left")
    if left is None or not is_undecided(evidence):
        return start
    if start < STRAIN.at_risk:
        return STRAIN.at_risk if STILL[0] <= left <= STILL[1] else start
    used = shares(evidence)
    firm = max((used.get(cause, 0.0) for cause in FIRM), default=0.0)
    return 0.0 if evidence.learns and firm <= FIRM_FROM else start
