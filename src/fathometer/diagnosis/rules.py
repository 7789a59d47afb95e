"""The rules: pure functions from evidence to a finding, or to silence."""

from collections.abc import Callable
from dataclasses import replace
from math import inf, log10

from fathometer.diagnosis.evidence import Evidence, has_stream
from fathometer.diagnosis.limits import (
    DEAD,
    LOSS_EXCESS,
    MOST_DECADES,
    NAMED,
    RANK_MAY_BE,
    STRAIN,
    UPDATE_LARGE,
    UPDATE_SMALL,
    depth_share,
    shares,
    strain,
)
from fathometer.figures.numbers import power_text
from fathometer.finding import Finding, Verdict, decide
from fathometer.finding.finding import SEVERITIES

Rule = Callable[[Evidence], Finding | None]


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
    """Find blocks whose activations sit where they are flat."""
    known = evidence.profile.known("saturated")
    if not known:
        return None
    index, share = max(known, key=lambda item: item[1])
    where = evidence.profile.points[index]
    sentence = f"{share:.0%} of the activations in {where} are flat: their slope is under 1% of the largest."
    return _graded(evidence, "saturation", share, sentence, "saturated", (where,), INITIALISE)


def exploding_signal(evidence: Evidence) -> Finding | None:
    """Find activations that grow with depth."""
    return _signal(evidence, "exploding_signal", "grows")


def vanishing_signal(evidence: Evidence) -> Finding | None:
    """Find activations that shrink with depth."""
    return _signal(evidence, "vanishing_signal", "shrinks")


def _signal(evidence: Evidence, cause: str, verb: str) -> Finding | None:
    decades = evidence.decades("signal")
    if decades is None:
        return None
    per_block = _per_block(evidence, "signal")
    sentence = f"The mean square of the signal {verb} {times(abs(decades))} from the first block to the last{per_block}."
    remedies = (*INITIALISE, "scale_branches", "add_norm")
    return _graded(evidence, cause, -decades, sentence, "signal", _ends(evidence), remedies)


def vanishing_gradient(evidence: Evidence) -> Finding | None:
    """Find a gradient that fades on its way back to the first block."""
    return _gradient(evidence, "vanishing_gradient", "smaller")


def exploding_gradient(evidence: Evidence) -> Finding | None:
    """Find a gradient that grows on its way back to the first block."""
    return _gradient(evidence, "exploding_gradient", "larger")


def _gradient(evidence: Evidence, cause: str, word: str) -> Finding | None:
    """Judge the gradient over the size of what it pulls at: one that only mirrors the signal is the signal's trouble."""
    relative, plain = evidence.relative_gradient_decades, evidence.decades("gradient")
    if relative is None or plain is None:
        return None
    shown, note = (plain, "") if plain * relative > 0 else (relative, ", for the size of the signal there")
    per_block = _per_block(evidence, "gradient", backwards=True) if not note else ""
    sentence = (
        f"The mean square of the gradient is {times(abs(shown))} {word} at the first block than at the last{note}{per_block}."
    )
    remedies = (*INITIALISE, *(("clip",) if word == "larger" else ("swap_activation",)), "add_norm", "add_residual")
    return _graded(evidence, cause, relative, sentence, "gradient", _ends(evidence), remedies)


def correlation_collapse(evidence: Evidence) -> Finding | None:
    """Find samples that become one vector with depth."""
    decades = evidence.spread_decades
    if decades is None:
        return None
    sentence = f"What tells two samples apart is {times(-decades)} smaller after the last block than at the input."
    if evidence.spread_lost:
        sentence = "After the last block two samples differ by no more than rounding."
    remedies = (*INITIALISE, "swap_activation", "scale_branches", "add_residual")
    return _graded(evidence, "correlation_collapse", decades, sentence, "spread", evidence.profile.points[-1:], remedies)


def rank_collapse(evidence: Evidence) -> Finding | None:
    """Find activations that keep a few directions of many."""
    ends = evidence.ends("rank")
    if ends is None:
        return None
    first, last = ends
    sentence = f"The samples differ in {last:.1f} directions after the last block, and in {first:.1f} after the first."
    remedies = ("initialise_orthogonal", "add_norm", "add_residual")
    finding = _graded(evidence, "rank_collapse", last, sentence, "rank", evidence.profile.points[-1:], remedies)
    return finding and replace(finding, limit=first * (last / first) ** (STRAIN.of(finding.severity) / strain(evidence)))


def _graded(
    evidence: Evidence, cause: str, number: float, sentence: str, column: str, points: tuple[str, ...], remedies: tuple[str, ...]
) -> Finding | None:
    """Return the finding of a cause that adds to the strain, if the strain is too much and this is a large part of it.

    Its limit is the number at which the severity would begin, were all troubles to shrink together.
    """
    used, total = shares(evidence), strain(evidence)
    severity = STRAIN.severity(total)
    if severity is None or not used.get(cause) or used[cause] < NAMED * min(max(used.values()), 1.0):
        return None
    limit = max(min(number, MOST_DECADES), -MOST_DECADES) * STRAIN.of(severity) / total
    if depth_share(evidence) >= 0.3:
        sentence += f" {evidence.plain_depth:.0f} blocks without a residual stream cannot bear that much."
    return Finding(cause, severity, sentence, number, limit, column, points, remedies)


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


STOPPERS = ("non_finite", "dead_units")  # nothing passes: whatever else is measured follows from it
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
MOST_FINDINGS = 3  # above a note; what comes after the third is a consequence of the first


def judge(evidence: Evidence, ignore: tuple[str, ...] = ()) -> list[Finding]:
    """Return the findings of all rules but the ignored ones, the worst first, roots before consequences."""
    evidence = replace(evidence, ignored=(*evidence.ignored, *ignore))
    found = [finding for cause, rule in RULES.items() if cause not in ignore and (finding := rule(evidence)) is not None]
    found.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    grave = [finding for finding in found if finding.severity != "note"]
    stopped = bool(grave) and grave[0].severity == "will not train" and grave[0].cause in STOPPERS
    return [*grave[: 1 if stopped else MOST_FINDINGS], *(finding for finding in found if finding.severity == "note")]


def enough_is_known(evidence: Evidence) -> bool:
    """Return whether "healthy" may be said: signal, spread and gradient are known, and an unknown rank cannot turn the scale."""
    if evidence.depth > 1 and (evidence.decades("signal") is None or evidence.last("spread") is None):
        return False
    rank_decides = evidence.rank_decades is None and evidence.depth > 1 and strain(evidence) + RANK_MAY_BE >= STRAIN.at_risk
    return evidence.last("gradient") is not None and not rank_decides


def verdict_of(findings: list[Finding], evidence: Evidence) -> Verdict:
    """Return the verdict that follows from the findings and from what is known."""
    return decide(findings, known=enough_is_known(evidence))


def times(decades: float) -> str:
    """Return a factor of 10^decades in words a person reads.

    >>> times(0.5), times(6.1)
    ('3.2 times', '10⁶ times')
    """
    if decades == inf:
        return "infinitely many times"
    return f"{10**decades:.2g} times" if decades < 3 else f"{power_text(round(decades))} times"


def _per_block(evidence: Evidence, column: str, backwards: bool = False) -> str:
    gain, decades = evidence.profile.gain_per_block(column), evidence.decades(column)
    if gain is None or decades is None or abs(decades) == inf:
        return ""
    return f" (× {10 ** (-log10(gain) if backwards else log10(gain)):.3g} per block)"


def _ends(evidence: Evidence) -> tuple[str, ...]:
    points = evidence.profile.points
    return (points[0], points[-1]) if len(points) > 1 else points


def _known_point(evidence: Evidence) -> tuple[str, ...]:
    return (evidence.broken_at,) if evidence.broken_at in evidence.profile.points else ()
