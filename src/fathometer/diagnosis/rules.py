"""The rules: pure functions from evidence to a finding, or to silence."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log10

from fathometer.diagnosis.evidence import Evidence, has_stream
from fathometer.finding import Finding, decide
from fathometer.finding.finding import Severity

Rule = Callable[[Evidence], Finding | None]


@dataclass(frozen=True)
class Limits:
    """Where "at risk" and "will not train" begin for one number."""

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


# Decades of second moments. Set on trained networks: JOURNAL.md, "Where the limits come from", has command and table.
GRADIENT_FALLS = Limits(-4.0, -8.0)  # relative gradient, first block over last
GRADIENT_GROWS = Limits(1.5, 3.7)
SIGNAL_FALLS = Limits(-7.0, -15.0)  # signal, last block over first
SIGNAL_GROWS = Limits(4.0, 7.0)
SPREAD_FALLS = Limits(-1.75, -2.5)  # spread of the samples, last block over input, where the rank is low too
SPREAD_ALONE = Limits(-5.0, -8.0)  # the same where the rank is not known or not low
LOW_RANK = 2.0  # effective number of directions left
DEAD = Limits(0.75, 0.98)  # a network whose samples are one has about half of its ReLUs off for all of them: not dead
SATURATED = Limits(0.3, 0.7)
LOSS_EXCESS = Limits(10.0, inf)  # nats above ln C
UPDATE_LARGE = Limits(0.1, 0.5)  # one step over the weights, middle block
UPDATE_SMALL = Limits(1e-6, 1e-8)  # the same, fastest block


def non_finite(evidence: Evidence) -> Finding | None:
    """Find a forward or backward pass that overflows, or divides by zero, from finite weights and data."""
    if evidence.broken_at is None:
        return None
    sentence = f"The first number that is not finite comes out of {evidence.broken_at}, from finite weights and data."
    return Finding("non_finite", "will not train", sentence, inf, 0.0, "signal", _known_point(evidence))


def dead_units(evidence: Evidence) -> Finding | None:
    """Find a block whose ReLUs are 0 for every sample."""
    known = evidence.profile.known("dead")
    if not known:
        return None
    index, share = max(known, key=lambda item: item[1])
    severity = DEAD.severity(share)
    if severity is None:
        return None
    where = evidence.profile.points[index]
    severity = "at risk" if has_stream(evidence.profile) else severity
    sentence = f"{share:.0%} of the units in {where} are 0 for every sample."
    return Finding("dead_units", severity, sentence, share, DEAD.of(severity), "dead", (where,), INITIALISE)


def saturation(evidence: Evidence) -> Finding | None:
    """Find a block whose activations sit where they are flat."""
    known = evidence.profile.known("saturated")
    if not known:
        return None
    index, share = max(known, key=lambda item: item[1])
    severity = SATURATED.severity(share)
    if severity is None:
        return None
    where = evidence.profile.points[index]
    sentence = f"{share:.0%} of the activations in {where} are flat: their slope is under 1% of the largest."
    return Finding("saturation", severity, sentence, share, SATURATED.of(severity), "saturated", (where,), INITIALISE)


def exploding_signal(evidence: Evidence) -> Finding | None:
    """Find activations that grow with depth."""
    return _signal(evidence, "exploding_signal", SIGNAL_GROWS, "grows")


def vanishing_signal(evidence: Evidence) -> Finding | None:
    """Find activations that shrink with depth."""
    return _signal(evidence, "vanishing_signal", SIGNAL_FALLS, "shrinks")


def _signal(evidence: Evidence, cause: str, limits: Limits, verb: str) -> Finding | None:
    decades = evidence.decades("signal")
    severity = None if decades is None else limits.severity(-decades)
    if decades is None or severity is None:
        return None
    sentence = f"The signal {verb} {times(abs(decades))} from the first block to the last{_per_block(evidence, 'signal')}."
    remedies = (*INITIALISE, "scale_branches", "add_norm")
    return Finding(cause, severity, sentence, -decades, limits.of(severity), "signal", _ends(evidence), remedies)


def vanishing_gradient(evidence: Evidence) -> Finding | None:
    """Find a gradient that fades on its way back to the first block."""
    return _gradient(
        evidence, "vanishing_gradient", GRADIENT_FALLS, SIGNAL_FALLS, "is {} smaller at the first block than at the last"
    )


def exploding_gradient(evidence: Evidence) -> Finding | None:
    """Find a gradient that grows on its way back to the first block."""
    return _gradient(
        evidence, "exploding_gradient", GRADIENT_GROWS, SIGNAL_GROWS, "is {} larger at the first block than at the last"
    )


def _gradient(evidence: Evidence, cause: str, limits: Limits, with_signal: Limits, words: str) -> Finding | None:
    """Judge the gradient over the size of what it pulls at; where signal and gradient fade together, by the signal's limits."""
    relative, plain, signal = evidence.relative_gradient_decades, evidence.decades("gradient"), evidence.decades("signal")
    if relative is None or plain is None:
        return None
    severity, number, limit = limits.severity(relative), relative, limits
    if severity is None and signal is not None:
        both = min(plain, -signal) if with_signal.at_risk > 0 else max(plain, -signal)
        severity, number, limit = with_signal.severity(both), plain, with_signal
    if severity is None:
        return None
    sentence = f"The gradient {words.format(times(abs(plain)))}{_per_block(evidence, 'gradient', backwards=True)}."
    remedies = (*INITIALISE, "swap_activation", "clip", "add_norm", "add_residual")
    return Finding(cause, severity, sentence, number, limit.of(severity), "gradient", _ends(evidence), remedies)


def correlation_collapse(evidence: Evidence) -> Finding | None:
    """Find samples that become one vector with depth."""
    decades, directions = evidence.spread_decades, evidence.directions_left
    if decades is None:
        return None
    low_rank = directions is not None and directions < LOW_RANK
    severity = (SPREAD_FALLS if low_rank else SPREAD_ALONE).severity(decades)
    if severity is None:
        return None
    limits = SPREAD_FALLS if low_rank else SPREAD_ALONE
    sentence = f"What tells two samples apart is {times(-decades)} smaller after the last block than at the input."
    remedies = (*INITIALISE, "swap_activation", "scale_branches", "add_residual")
    return Finding(
        "correlation_collapse", severity, sentence, decades, limits.of(severity), "spread", evidence.profile.points[-1:], remedies
    )


def rank_collapse(evidence: Evidence) -> Finding | None:
    """Find activations that keep a single direction of many, while the samples still differ."""
    directions, entering = evidence.directions_left, evidence.directions_first
    if directions is None or entering is None or evidence.depth < 2 or entering < 3 or directions >= 1.2:
        return None
    sentence = f"The samples differ in {directions:.1f} directions after the last block, and in {entering:.1f} after the first."
    remedies = ("initialise_orthogonal", "add_norm", "add_residual")
    return Finding("rank_collapse", "at risk", sentence, directions, 1.2, "rank", evidence.profile.points[-1:], remedies)


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


def update_size(evidence: Evidence) -> Finding | None:
    """Find steps that are far too large or far too small for the weights they move."""
    sizes = sorted(value for _, value in evidence.profile.known("update"))
    if not sizes:
        return None
    middle, fastest = sizes[len(sizes) // 2], sizes[-1]
    for number, limits, words in (
        (middle, UPDATE_LARGE, "In the middle block"),
        (fastest, UPDATE_SMALL, "Even in the fastest block"),
    ):
        severity = limits.severity(number)
        if severity is not None:
            sentence = f"{words} one step moves the weights by {number:.2g} of their size; about 0.001 is usual."
            return Finding("update_size", severity, sentence, number, limits.of(severity), "update", (), ("change_rate",))
    return None


INITIALISE = ("initialise", "initialise_orthogonal", "initialise_by_measurement")
# Roots before consequences: among findings of one severity the first here is named first.
RULES: dict[str, Rule] = {
    "non_finite": non_finite,
    "dead_units": dead_units,
    "saturation": saturation,
    "exploding_signal": exploding_signal,
    "vanishing_signal": vanishing_signal,
    "exploding_gradient": exploding_gradient,
    "vanishing_gradient": vanishing_gradient,
    "correlation_collapse": correlation_collapse,
    "rank_collapse": rank_collapse,
    "update_size": update_size,
    "initial_loss": initial_loss,
}
_ORDER: tuple[Severity, ...] = ("will not train", "at risk", "note")


def judge(evidence: Evidence, ignore: tuple[str, ...] = ()) -> list[Finding]:
    """Return the findings of all rules but the ignored ones, the worst first, roots before consequences."""
    findings = [finding for cause, rule in RULES.items() if cause not in ignore and (finding := rule(evidence)) is not None]
    return sorted(findings, key=lambda finding: _ORDER.index(finding.severity))


def enough_is_known(evidence: Evidence) -> bool:
    """Return whether "healthy" may be said: the signal and the gradient are known, and whether samples stay apart."""
    if evidence.decades("signal") is None and evidence.depth > 1:
        return False
    spread = evidence.spread_decades
    undecided = spread is not None and SPREAD_FALLS.severity(spread) is not None and evidence.directions_left is None
    return evidence.last("gradient") is not None and not undecided


def verdict_of(findings: list[Finding], evidence: Evidence) -> str:
    """Return the verdict that follows from the findings and from what is known."""
    return decide(findings, known=enough_is_known(evidence))


def times(decades: float) -> str:
    """Return a factor of 10^decades in words a person reads.

    >>> times(0.5), times(6.1)
    ('3.2 times', '10^6 times')
    """
    if decades == inf:
        return "infinitely many times"
    return f"{10**decades:.2g} times" if decades < 3 else f"10^{decades:.0f} times"


def _per_block(evidence: Evidence, column: str, backwards: bool = False) -> str:
    gain = evidence.profile.gain_per_block(column)
    if gain is None or gain <= 0:
        return ""
    return f" (× {10 ** (-log10(gain) if backwards else log10(gain)):.3g} per block)"


def _ends(evidence: Evidence) -> tuple[str, ...]:
    points = evidence.profile.points
    return (points[0], points[-1]) if len(points) > 1 else points


def _known_point(evidence: Evidence) -> tuple[str, ...]:
    return (evidence.broken_at,) if evidence.broken_at in evidence.profile.points else ()
