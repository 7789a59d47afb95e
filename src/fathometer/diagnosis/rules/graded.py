"""From a trouble that adds to the strain to a finding, by its root."""

from collections.abc import Callable
from math import inf

from fathometer.diagnosis.evidence import Evidence, has_stream
from fathometer.diagnosis.limits import BEARS, MOST_DECADES, NAMED, STRAIN, depth_share, notable, settled
from fathometer.finding import Finding
from fathometer.text import power_text

INITIALISE = ("initialise", "initialise_orthogonal", "initialise_by_measurement")
BRANCHES = ("scale_branches", *INITIALISE, "add_norm")
WELL_OVER = 4.0  # a trouble that is twice what is worth a word is named, however large another one is
COLLAPSES = ("correlation_collapse", "token_rank_collapse", "rank_collapse")
STRONG_BRANCH = 0.9  # a block that adds about as much as it receives doubles the stream each time


def graded(
    evidence: Evidence,
    trouble: str,
    number: float,
    sentence: str,
    column: str | None,
    points: tuple[str, ...],
    remedies: tuple[str, ...],
    number_at: Callable[[float], float] | None = None,
) -> Finding | None:
    """Return the finding of a trouble that adds to the strain, if the strain is too much and this is a large part of it.

    Its limit is the number at which the severity would begin, were what each trouble uses up to shrink alike. `number_at` says
    what the number would be of a trouble some times as large; without it, the number times that.
    """
    sizes, total = notable(evidence), settled(evidence)
    severity = STRAIN.severity(total)
    if severity is None or not sizes.get(trouble) or sizes[trouble] < NAMED * min(max(sizes.values()), WELL_OVER):
        return None
    left = (STRAIN.of(severity) / total) ** (1 / BEARS[trouble].shape)
    limit = max(min(number, MOST_DECADES), -MOST_DECADES) * left if number_at is None else number_at(left)
    if depth_share(evidence) >= 0.3:
        sentence += f" {evidence.plain_depth:.0f} blocks without a residual stream cannot bear that much."
    cause, sentence, remedies = _by_its_root(evidence, trouble, sentence, remedies)
    return None if cause in evidence.ignored else Finding(cause, severity, sentence, number, limit, column, points, remedies)


Named = tuple[str, str, tuple[str, ...]]


def _by_its_root(evidence: Evidence, trouble: str, sentence: str, remedies: tuple[str, ...]) -> Named:
    """Return the cause to name, with what says so, where what is in the blocks tells why the trouble is there."""
    ratio, gradient = evidence.middle("branch_ratio"), trouble.endswith("_gradient")
    if has_stream(evidence.profile):
        if trouble == "exploding_signal" and ratio is not None and ratio > STRONG_BRANCH:
            words = f" The middle branch adds {ratio:.2g} times what it receives."
            return "residual_branch_imbalance", sentence + words, BRANCHES
        if evidence.is_post_norm and (gradient or trouble in COLLAPSES):
            return (
                "post_norm_imbalance",
                sentence + " The stream itself passes a norm in every block.",
                ("put_norm_first", *remedies),
            )
    elif trouble == "exploding_gradient" and evidence.has_batch_norm:
        words = " Each BatchNorm multiplies the gradient, about 1.2 times a block after a ReLU, and no initialisation helps."
        return "batchnorm_explosion", sentence + words, ("add_residual", "clip")
    return trouble, sentence, remedies


def times(decades: float) -> str:
    """Return a factor of 10^decades in words a person reads.

    >>> times(0.5), times(6.1)
    ('3.2 times', '10⁶ times')
    """
    if decades == inf:
        return "infinitely many times"
    return f"{10**decades:.2g} times" if decades < 3 else f"{power_text(round(decades))} times"
