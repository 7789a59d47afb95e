"""What theory expects of a transformer at its start, block by block.

The stream is followed as a kernel: how alike its vectors are, place by place, within a sample and across two. Tokens are
drawn at random, weights are independent, and the width is infinite; the bands add what finite width does, to first order.

Letters: r what a norm multiplies second moments with, a and α the multipliers of stream and branch.

Xiong et al. 2020, "On layer normalization in the transformer architecture"; Noci et al. 2022; Wang et al. 2022 (DeepNorm).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fathometer.depth_profile import DepthProfile
from fathometer.spec import Transformer
from fathometer.spec.residual import NORM_AFTER, NORM_BEFORE, NORM_INSIDE
from fathometer.theory.attention import Softmax, softmax_of
from fathometer.theory.gaussian import Array
from fathometer.theory.places import Kernel, Places, group_places, mean_moment, repeats
from fathometer.theory.profile import Crossing, Start, profile_of
from fathometer.theory.steps import EPSILON, IDENTITY, LARGEST, SMALLEST, Response, Signal, add, normalise, then
from fathometer.theory.sublayers import Branch, Pull, attend, feed_forward

SHARP_LOGITS = 16.0  # a variance of attention logits: signal and gradient are still right, the correlation 5% too large


@dataclass(frozen=True)
class Step:
    """What came of one branch and its addition: what entered, was added and left, and the way back through it.

    `total` is the sum, `kernel` what leaves it behind the norm.
    """

    stream: Kernel
    branch: Branch
    added: Kernel
    total: Kernel
    kernel: Kernel
    pull: Pull


def forecast_transformer(spec: Transformer, start: Start) -> DepthProfile:
    """Return what theory expects of a transformer; each block is one point."""
    places = group_places(start.num_tokens or spec.context, spec.causal)
    stream = embed(spec, start, places)
    scatter = 2 / spec.width * repeats(stream, places)
    blocks = cross_blocks(stream, spec, places)
    stream = blocks[-1][-1].kernel
    responses = _responses(blocks, _last_gradient(stream, spec, places), places, spec)
    crossings = [_crossing(steps, response, places, spec) for steps, response in zip(blocks, responses, strict=True)]
    return profile_of(crossings, spec.phi, scatter=scatter, stops=_stops(spec, blocks))


def embed(spec: Transformer, start: Start, places: Places) -> Kernel:
    """Return the kernel of the embedded tokens: two are the same with the probability that `start.correlation` says."""
    variance = spec.scale("embedding", 1, spec.width).weight_std ** 2
    placed = variance if spec.positions == "learned" else 0.0
    again = variance * max(start.correlation, 1 / spec.vocabulary)
    num_groups = len(places.sizes)
    same = np.outer([variance + placed, again + placed], np.ones(num_groups))
    return Kernel(np.maximum(same, SMALLEST), np.full((2, num_groups, num_groups), again))


def cross_blocks(stream: Kernel, spec: Transformer, places: Places) -> list[tuple[Step, Step]]:
    """Return the two steps of every block."""
    softmax, blocks = softmax_of(places), []
    for block in range(spec.depth):
        attention = cross(stream, spec, places, block=block, softmax=softmax)
        mlp = cross(attention.kernel, spec, places, block=block)
        blocks.append((attention, mlp))
        stream = mlp.kernel
    return blocks


def cross(stream: Kernel, spec: Transformer, places: Places, *, block: int, softmax: Softmax | None = None) -> Step:
    """Cross x ← norm_after(a x + α norm_inside(f(γ norm_before(x)))); f is attention where `softmax` is given, else the MLP."""
    kind, one = spec.residual, np.ones(len(places.sizes))
    before = spec.norm_multiplier(block) ** 2 * _norm(stream) if kind in NORM_BEFORE else one
    entering = stream.scaled(before)
    branch = feed_forward(entering, spec, places) if softmax is None else attend(entering, spec, places, softmax)
    inside = _norm(branch.kernel) if kind in NORM_INSIDE else one
    added = branch.kernel.scaled(inside)
    a2, alpha2 = spec.stream_multiplier**2, spec.branch_multiplier**2
    total = stream.times(a2).plus(added.times(alpha2))
    after = _norm(total) if kind in NORM_AFTER else one

    def pull(gradient: Kernel) -> Kernel:
        gradient = gradient.scaled(after)
        return gradient.times(a2).plus(branch.pull(gradient.scaled(inside)).scaled(before).times(alpha2))

    return Step(stream, branch, added, total, _in_range(total.scaled(after)), pull)


def _in_range(kernel: Kernel) -> Kernel:
    moments = kernel.same[0]
    return kernel.scaled(np.clip(moments, SMALLEST, LARGEST) / moments)


def _norm(kernel: Kernel) -> Array:
    return 1 / (kernel.same[0] + EPSILON)


def _response(step: Step, gradient: Kernel, places: Places, spec: Transformer) -> Response:
    # As in an MLP, but averaged over places: what scatters there is common to two places as their cosine squared.
    kind, width = spec.residual, float(spec.width)
    stream, branch, added, total = (
        Signal(mean_moment(kernel, places), 0.0) for kernel in (step.stream, step.branch.kernel, step.added, step.total)
    )
    up, back = repeats(step.added, places), repeats(gradient, places)
    own = step.branch.response
    inner = replace(own, noise=up * own.noise, slope_noise=back * own.slope_noise, shared_noise=min(up, back) * own.shared_noise)
    if kind in NORM_BEFORE:
        inner = then(normalise(stream, "layer", width)[1], inner)
    if kind in NORM_INSIDE:
        inner = then(inner, normalise(branch, "layer", width)[1])
    scales = float(spec.stream_multiplier), float(spec.branch_multiplier)
    # The cross terms scatter too: of x·f common to two places as both cosines, between those squared, and of δ as its own.
    shares = max(up, repeats(step.stream, places)), back
    (_, response), (_, backward) = (
        add(stream, added, (inner, IDENTITY), scales, width=width / share, depth=1) for share in shares
    )
    response = replace(response, slope_noise=backward.slope_noise)
    return then(response, normalise(total, "layer", width)[1]) if kind in NORM_AFTER else response


def _last_gradient(kernel: Kernel, spec: Transformer, places: Places) -> Kernel:
    # Targets have nothing in common, so gradients of two places do not either; the final norm divides by the length.
    factors = _norm(kernel) if spec.ends_in_norm else np.ones(len(places.sizes))
    return Kernel(factors[None] / (factors @ places.shares), np.zeros((1, len(factors), len(factors))))


def _responses(blocks: Sequence[tuple[Step, Step]], gradient: Kernel, places: Places, spec: Transformer) -> list[Response]:
    """Return the response of each block; its slope is the growth of the gradient's mean second moment on its way back."""
    responses = []
    for attention, mlp in reversed(blocks):
        middle = mlp.pull(gradient)
        response = then(_response(attention, middle, places, spec), _response(mlp, gradient, places, spec))
        gradient = attention.pull(middle)
        growth = mean_moment(gradient, places)
        responses.append(replace(response, slope=growth))
        gradient = gradient.times(1 / max(growth, 1e-300))
    if spec.residual in NORM_AFTER:  # the first norm on the way back takes out what lies along the stream (and its mean)
        lost = (2 if spec.norm == "layer" else 1) / spec.width
        responses[0] = replace(responses[0], slope=responses[0].slope * (1 - lost))
    return responses[::-1]


def _crossing(steps: tuple[Step, Step], response: Response, places: Places, spec: Transformer) -> Crossing:
    leaving, length = steps[-1].kernel, steps[-1].branch.length
    assert length is not None
    moment = mean_moment(leaving, places)
    correlation = float(places.shares @ leaving.same[1]) / moment
    return Crossing(Signal(moment, correlation), response, (length,), _added(steps, places, spec))


def _added(steps: tuple[Step, Step], places: Places, spec: Transformer) -> float:
    # What leaves holds g·x: E (leaving − x)² = E leaving² + (1 − 2g) E x², with g = a r^½ for each of the two steps.
    g = np.ones(len(places.sizes))
    for step in steps:
        g = g * spec.stream_multiplier * np.sqrt(step.kernel.same[0] / step.total.same[0])
    entered, left = steps[0].stream.same[0], steps[-1].kernel.same[0]
    squared = places.shares @ (left + (1 - 2 * g) * entered)
    return max(float(squared), 0.0) ** 0.5 / float(places.shares @ entered) ** 0.5


def _stops(spec: Transformer, blocks: Sequence[tuple[Step, Step]]) -> list[str]:
    logits = max(attention.branch.logits or 0.0 for attention, _ in blocks)
    stops = []
    if logits > SHARP_LOGITS:
        stops.append(
            f"attention: its logits have a standard deviation of {logits**0.5:.1f}, and beyond {SHARP_LOGITS**0.5:g} "
            "two samples are less alike than theory says"
        )
    if spec.dropout > 0:
        stops.append("dropout: taken as off")
    return stops
