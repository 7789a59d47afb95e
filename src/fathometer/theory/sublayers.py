"""The branches of a transformer: a kernel forward, a gradient back.

A branch maps the kernel of what enters to that of what leaves, and hands back a `Pull`: what the gradient's kernel becomes
on its way back through it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from fathometer.spec import Transformer
from fathometer.theory.attention import LARGEST_VARIANCE, Softmax, look, look_back
from fathometer.theory.blocks import linear_of
from fathometer.theory.dual import activated, slopes
from fathometer.theory.gaussian import expectation
from fathometer.theory.places import Kernel, Places, mean_moment, mean_pair
from fathometer.theory.steps import Linear, Response, Signal, activate, linear, then

Pull = Callable[[Kernel], Kernel]


@dataclass(frozen=True)
class Branch:
    """What came of one branch: its kernel, the way back, how it scatters, and the two lengths inside.

    `length` is the second moment in front of its activation (None for attention), `logits` the variance of its attention
    logits over keys that differ (None for the MLP).
    """

    kernel: Kernel
    pull: Pull
    response: Response
    length: float | None = None
    logits: float | None = None


def attend(entering: Kernel, spec: Transformer, places: Places, softmax: Softmax) -> Branch:
    """Return the attention branch: values, looked at and mixed."""
    width = spec.width
    value = linear_of(spec, "hidden", width, spec.num_kv_heads * spec.head_width, bias=spec.bias)
    output = linear_of(spec, "branch_last", width, width, bias=spec.bias)
    cosines = entering.cosines()
    variance = logit_variance(spec, mean_moment(entering, places))
    looked = look(_weighed(entering, value), cosines, variance, places, softmax)
    # Query heads that share a value head send their gradients back to it, so the way back is as wide as the queries.
    value_back = value.backward_variance * spec.num_heads / spec.num_kv_heads
    back = output.backward_variance * value_back

    def pull(gradient: Kernel) -> Kernel:
        return look_back(gradient, cosines, variance, places, softmax).times(back)

    mixed = mean_moment(looked, places) / max(mean_moment(_weighed(entering, value), places), 1e-300)
    _, into = linear(_signal(entering, places), value)
    _, out = linear(_signal(looked, places), output)
    response = then(replace(into, slope=value_back * mixed), out)
    apart = float(cosines.same[0] @ places.shares - mean_pair(cosines, places)[0])
    return Branch(_weighed(looked, output), pull, response, logits=variance * apart)


def feed_forward(entering: Kernel, spec: Transformer, places: Places) -> Branch:
    """Return the MLP branch: W φ(W₁ x), with a gate W (φ(W₁ x) ⊙ W₃ x)."""
    first = linear_of(spec, "hidden", spec.width, spec.hidden_width, bias=spec.bias)
    last = linear_of(spec, "branch_last", spec.hidden_width, spec.width, bias=spec.bias)
    inside = _weighed(entering, first)
    active, slope = activated(inside, spec.phi), slopes(inside, spec.phi)
    within = Kernel(slope.same[:1], slope.pairs[:1])
    hidden = active
    if spec.gated:  # the product rule: the gradient goes through φ′ times the gate, and through the gate times φ
        hidden = _product(active, inside)
        within = _product(within, inside).plus(Kernel(active.same[:1], active.pairs[:1]))
    back = last.backward_variance * first.backward_variance

    def pull(gradient: Kernel) -> Kernel:
        return _product(within, gradient).times(back)

    at, response = linear(_signal(entering, places), first)
    length = mean_moment(inside, places)
    at, activation, _ = activate(replace(at, moment=length), spec.phi, first.width)
    if spec.gated:  # the gate is Gaussian: the squares of its units scatter by 2, and those of the product with them
        activation = replace(activation, growth=activation.growth + 1, noise=3 * activation.noise + 2 / first.width)
    _, out = linear(_signal(hidden, places), last)
    return Branch(_weighed(hidden, last), pull, then(then(response, activation), out), length=length)


def logit_variance(spec: Transformer, moment: float) -> float:
    """Return the variance of attention logits s q·k over independent keys: s² head_width E q² E k², behind a soft-cap.

    With QK-norm queries and keys have second moment 1. More than `LARGEST_VARIANCE` counts as that.
    """
    matrix = linear_of(spec, "query_key", spec.width, spec.width, bias=spec.bias)
    key = linear_of(spec, "query_key", spec.width, spec.num_kv_heads * spec.head_width, bias=spec.bias)
    queries, keys = (layer.forward_variance * moment + layer.bias_variance for layer in (matrix, key))
    product = 1.0 if spec.qk_norm else queries * keys
    variance = min(spec.attention_scale**2 * spec.head_width * product, LARGEST_VARIANCE)
    cap = spec.attention_softcap
    if cap is None or variance == 0:
        return variance
    return float(expectation(lambda logits: (cap * np.tanh(logits / cap)) ** 2, variance))


def _weighed(kernel: Kernel, layer: Linear) -> Kernel:
    scaled = kernel.times(layer.forward_variance)
    return Kernel(scaled.same + layer.bias_variance, scaled.pairs + layer.bias_variance)


def _product(one: Kernel, other: Kernel) -> Kernel:
    """Return the kernel of the elementwise product of independent vectors; rows of the first."""
    rows = len(one.same)
    return Kernel(one.same * other.same[:rows], one.pairs * other.pairs[:rows])


def _signal(kernel: Kernel, places: Places) -> Signal:
    return Signal(mean_moment(kernel, places), 0.0)
