"""One block of a network, step by step, for every residual kind."""

from collections.abc import Sequence
from math import exp

from fathometer.activations import Activation
from fathometer.parametrizations.roles import Role
from fathometer.spec import Mlp, Spec
from fathometer.spec.residual import NORM_AFTER, NORM_BEFORE, NORM_INSIDE
from fathometer.theory.profile import Crossing
from fathometer.theory.steps import IDENTITY, Linear, Response, Signal, activate, add, linear, normalise, quiet, then

HIGHWAY_SHARE = 1 / (1 + exp(2.0))  # the gate's weights start at zero, so its share is one number for all units


def linear_of(spec: Spec, role: Role, fan_in: int, fan_out: int, *, bias: bool = True) -> Linear:
    """Return a weight matrix of the spec, from `fan_in` numbers to `fan_out`."""
    scale = spec.scale(role, fan_in, fan_out)
    variance = scale.weight_std**2
    kept = min(1.0, fan_out / fan_in) if scale.distribution == "orthogonal" else 0.0
    bias_variance = float(scale.bias_std) ** 2 if bias else 0.0
    return Linear(fan_in * variance, fan_out * variance, bias_variance, float(fan_out), kept)


def branch_of(spec: Mlp) -> tuple[Linear, ...]:
    """Return the weight matrices of one residual branch."""
    inner = [linear_of(spec, "hidden", spec.width, spec.width)] * (spec.branch_layers - 1)
    return (*inner, linear_of(spec, "branch_last", spec.width, spec.width))


def cross_plain(
    signal: Signal, layer: Linear, activation: Activation, norm: str | None = None, num_inputs: int | None = None
) -> Crossing:
    """Cross h ← φ(norm(W h + b))."""
    signal, response = linear(signal, layer)
    if norm:
        signal, normed = normalise(signal, norm, layer.width, num_inputs)
        response = then(response, normed)
    length = signal.moment
    signal, activated, _ = activate(signal, activation, layer.width, centred=norm == "layer")
    return Crossing(signal, then(response, activated), (length,))


def cross_residual(stream: Signal, spec: Mlp, branch: Sequence[Linear], num_inputs: int | None = None) -> Crossing:
    """Cross x ← norm_after(a x + α norm_inside(f(norm_before(x)))), with the norms that the kind has."""
    norm, signal, responses = spec.norm_kind, stream, (IDENTITY, IDENTITY)
    if norm and spec.residual in NORM_BEFORE:
        signal, normed = normalise(signal, norm, float(spec.width), num_inputs)
        responses = (normed, normed)
    signal, responses, lengths = _cross_branch(signal, spec, branch, responses)
    if norm and spec.residual in NORM_INSIDE:
        signal, normed = normalise(signal, norm, float(spec.width), num_inputs)
        responses = (then(responses[0], normed), then(responses[1], quiet(normed)))
    scales = _scales(spec)
    total, response = add(stream, signal, responses, scales, width=float(spec.width), depth=spec.depth)
    after = total
    if norm and spec.residual in NORM_AFTER:
        after, normed = normalise(total, norm, float(spec.width), num_inputs)
        response = then(response, normed)
    return Crossing(after, response, lengths, _added(stream, total, after, scales[0]))


def _cross_branch(
    signal: Signal, spec: Mlp, branch: Sequence[Linear], responses: tuple[Response, Response]
) -> tuple[Signal, tuple[Response, Response], tuple[float, ...]]:
    # f(x) = W_m φ(… W_1 φ(x)); of its scatter, only that of the first φ lasts while x does.
    (whole, lasting), lengths = responses, []
    for index, layer in enumerate(branch):
        lengths.append(signal.moment)
        centred = index == 0 and spec.norm_kind == "layer"
        signal, activated, activated_lasting = activate(signal, spec.phi, layer.width, centred=centred)
        signal, weighted = linear(signal, layer)
        lasting = then(lasting, then(activated_lasting if index == 0 else quiet(activated), quiet(weighted)))
        whole = then(whole, then(activated, weighted))
    return signal, (whole, lasting), tuple(lengths)


def _scales(spec: Mlp) -> tuple[float, float]:
    if spec.residual == "highway":
        return 1 - HIGHWAY_SHARE, HIGHWAY_SHARE
    return float(spec.stream_multiplier), float(spec.branch_multiplier)


def _added(stream: Signal, total: Signal, after: Signal, a: float) -> float:
    # after = (a·x + α·f)·r and E x·f = 0, so E (after − x)² = E after² + E x² − 2 a r E x².
    r = (after.moment / total.moment) ** 0.5
    squared = after.moment / stream.moment + 1 - 2 * a * r
    return max(squared, 0.0) ** 0.5
