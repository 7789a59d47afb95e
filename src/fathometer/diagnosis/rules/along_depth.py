"""Troubles that add up along depth: signal, gradient, samples, tokens."""

from collections.abc import Callable
from math import inf, log10

from fathometer.diagnosis.evidence import Evidence
from fathometer.diagnosis.rules.apart import gradients_alike
from fathometer.diagnosis.rules.graded import INITIALISE, graded, times
from fathometer.finding import Finding


def exploding_signal(evidence: Evidence) -> Finding | None:
    """Find activations that grow with depth; on a stream, branches that are too strong for it."""
    return _signal(evidence, "exploding_signal", "grows")


def vanishing_signal(evidence: Evidence) -> Finding | None:
    """Find activations that shrink with depth."""
    return _signal(evidence, "vanishing_signal", "shrinks")


def _signal(evidence: Evidence, trouble: str, verb: str) -> Finding | None:
    decades = evidence.decades("signal")
    if decades is None:
        return None
    per_block = _per_block(evidence, "signal")
    sentence = f"The mean square of the signal {verb} {times(abs(decades))} from the first block to the last{per_block}."
    return graded(evidence, trouble, -decades, sentence, "signal", _ends(evidence), (*INITIALISE, "scale_branches", "add_norm"))


def vanishing_gradient(evidence: Evidence) -> Finding | None:
    """Find a gradient that fades on its way back to the first block."""
    return _gradient(evidence, "vanishing_gradient", "smaller")


def exploding_gradient(evidence: Evidence) -> Finding | None:
    """Find a gradient that grows on its way back to the first block."""
    return _gradient(evidence, "exploding_gradient", "larger")


def _gradient(evidence: Evidence, trouble: str, word: str) -> Finding | None:
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
    return graded(evidence, trouble, relative, sentence, "gradient", _ends(evidence), remedies)


def correlation_collapse(evidence: Evidence) -> Finding | None:
    """Find samples that become one vector with depth."""
    decades = evidence.spread_decades
    if decades is None:
        return None
    sentence = f"What tells two samples apart is {times(-decades)} smaller after the last block than at the input."
    if evidence.spread_lost:
        sentence = "After the last block two samples differ by no more than rounding."
    remedies = (*INITIALISE, "swap_activation", "scale_branches", "add_residual")
    found = graded(evidence, "correlation_collapse", decades, sentence, "spread", evidence.profile.points[-1:], remedies)
    return found or gradients_alike(evidence)


def token_rank_collapse(evidence: Evidence) -> Finding | None:
    """Find tokens of one sample that become one vector with depth, as attention without a stream makes them."""
    decades = evidence.token_decades
    if decades is None:
        return None
    sentence = f"What tells two tokens of a sample apart is {times(decades)} smaller after the last block than where they enter."
    remedies = ("scale_branches", "add_residual")
    return graded(evidence, "token_rank_collapse", -decades, sentence, "token_spread", evidence.profile.points[-1:], remedies)


def post_norm_imbalance(evidence: Evidence) -> Finding | None:
    """Find a stream that passes a norm in so many blocks that the steps of the early ones are lost in those of the late."""
    if not evidence.is_post_norm:
        return None
    new = evidence.plain_depth
    sentence = (
        f"The stream itself passes a norm in each of {evidence.depth} blocks; {new:.0f} blocks' worth of it is new at the end."
    )
    remedies = ("put_norm_first", "scale_branches")
    return graded(evidence, "post_norm_imbalance", new, sentence, "shared", evidence.profile.points[-1:], remedies)


def _per_block(evidence: Evidence, column: str, backwards: bool = False) -> str:
    gain, decades = evidence.profile.gain_per_block(column), evidence.decades(column)
    if gain is None or decades is None or abs(decades) == inf:
        return ""
    return f" (× {10 ** (-log10(gain) if backwards else log10(gain)):.3g} per block)"


def _ends(evidence: Evidence) -> tuple[str, ...]:
    points = evidence.profile.points
    return (points[0], points[-1]) if len(points) > 1 else points


ALONG_DEPTH: dict[str, Callable[[Evidence], Finding | None]] = {
    "exploding_signal": exploding_signal,
    "vanishing_signal": vanishing_signal,
    "exploding_gradient": exploding_gradient,
    "vanishing_gradient": vanishing_gradient,
    "token_rank_collapse": token_rank_collapse,
    "correlation_collapse": correlation_collapse,
    "post_norm_imbalance": post_norm_imbalance,
}
