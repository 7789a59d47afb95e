"""Mean-field theory at its known points: critical lines, rates of approach, growth through residual blocks."""

from math import e, log, pi, sqrt

import numpy as np
import pytest

from fathometer.activations import find_activation
from fathometer.spec import Mlp
from fathometer.theory import (
    correlation_map,
    critical_gain,
    depth_scales,
    edge_of_chaos,
    fixed_point,
    forecast,
    forecast_stack,
    slope,
)
from fathometer.theory.gaussian import expectation

# Schoenholz et al. 2017, tanh with σ_b² = 0.05: σ_w², q*, χ₁, c*, ξ_c, ξ_∇
TANH = [
    (1.0, 0.19359, 0.75903, 1.0, 3.627, 3.627),
    (1.25, 0.29205, 0.86324, 1.0, 6.800, 6.800),
    (1.5, 0.41804, 0.93864, 1.0, 15.79, 15.79),
    (2.0, 0.72176, 1.04767, 0.74408, 25.21, 21.48),
]


def relu_decorrelation(depth: int) -> np.ndarray:
    """Return 1 − c after each of `depth` He ReLU layers, from orthogonal inputs."""
    c, result = 0.0, []
    for _ in range(depth):
        c = float(correlation_map("relu", c))
        result.append(1 - c)
    return np.array(result)


def mean_gradient(depth: int, **changes) -> float:
    """Return the forecast gradient of the first block over that of the last."""
    gradient = forecast(Mlp(depth=depth, **changes)).values["gradient"][0]
    assert gradient is not None
    return gradient


@pytest.mark.parametrize(("bias_variance", "weight_variance", "length"), [(0.05, 1.76095, 0.57005), (0.1, 1.98607, 0.80580)])
def test_tanh_critical_line(bias_variance: float, weight_variance: float, length: float) -> None:
    """Tanh is critical at these variances (Schoenholz et al. 2017), and nowhere near 1% beside them."""
    gain = critical_gain("tanh", sqrt(bias_variance))
    assert gain is not None

    assert gain**2 == pytest.approx(weight_variance, abs=1e-4)  # five published digits
    assert fixed_point("tanh", gain**2, bias_variance).length == pytest.approx(length, abs=1e-4)
    assert abs(fixed_point("tanh", 1.01 * gain**2, bias_variance).slope - 1) > 1e-3


@pytest.mark.parametrize(("weight_variance", "length", "chi", "correlation", "correlation_scale", "gradient_scale"), TANH)
def test_tanh_fixed_points(
    weight_variance: float, length: float, chi: float, correlation: float, correlation_scale: float, gradient_scale: float
) -> None:
    """q*, χ₁, c* and the depth scales of tanh at σ_b² = 0.05 are the published ones."""
    point, scales = fixed_point("tanh", weight_variance, 0.05), depth_scales("tanh", weight_variance, 0.05)

    assert (point.length, point.slope, point.correlation) == pytest.approx((length, chi, correlation), abs=1e-5)
    assert (scales.correlation, scales.gradient) == pytest.approx((correlation_scale, gradient_scale), rel=5e-4)  # four digits


def test_order_and_chaos_are_told_apart() -> None:
    """Below the critical variance two samples become one (c* = 1, χ₁ < 1); above it they do not."""
    ordered, chaotic = fixed_point("tanh", 1.7, 0.05), fixed_point("tanh", 1.85, 0.05)

    assert ordered.correlation == 1.0 > ordered.slope
    assert chaotic.correlation is not None
    assert chaotic.correlation < 0.99 < 1 < chaotic.slope


def test_relu_with_he_is_exactly_critical() -> None:
    """χ₁ is 1 to the last digit with He, and 1/2 with Xavier: 2⁻²⁹ from the first to the thirtieth layer."""
    he = forecast_stack("relu", [2.0] * 30, [0.0] * 30)
    xavier = forecast_stack("relu", [1.0] * 30, [0.0] * 30)

    assert float(slope("relu", 1.0, 2.0)) == 1.0
    assert he.gain_per_block("signal") == pytest.approx(1.0, rel=1e-12)
    assert xavier.values["signal"][-1] / xavier.values["signal"][0] == pytest.approx(2.0**-29, rel=1e-12)


def test_relu_samples_draw_together_like_one_over_depth_squared() -> None:
    """1 − c_l of He ReLU has the published values and goes to (9π²/2)/l²; a tanh at its edge goes slower."""
    apart = relu_decorrelation(10_000)

    published = {1: 0.68169, 2: 0.50627, 5: 0.26405, 10: 0.128464, 100: 0.0035769}
    for depth, value in published.items():
        assert apart[depth - 1] == pytest.approx(value, rel=1e-4)  # five digits
    assert apart[-1] * 1e8 == pytest.approx(44.25, abs=0.005)
    assert 9 * pi**2 / 2 == pytest.approx(44.41, abs=0.005)
    rate = log(apart[-1] / apart[999]) / log(10)
    assert rate == pytest.approx(-2, abs=0.02)  # logarithmic corrections at l = 1000


def test_tanh_at_its_edge_draws_together_like_one_over_depth() -> None:
    """l(1 − c_l) tends to β = 2E φ′²/(q E φ″²) (Hayou et al. 2019); off the edge it tends to 0 or does not settle."""
    gain = critical_gain("tanh", sqrt(0.05))
    assert gain is not None
    q = fixed_point("tanh", gain**2, 0.05).length
    slopes, bends = (expectation(f, q) for f in (lambda u: np.cosh(u) ** -4, lambda u: (2 * np.tanh(u) / np.cosh(u) ** 2) ** 2))
    beta = 2 * float(slopes) / (q * float(bends))

    def settled(weight_variance: float) -> float:
        c = 0.2
        for _ in range(2000):
            c = float(correlation_map("tanh", c, q, weight_variance, q - weight_variance * tanh_moment(q)))
        return 2000 * (1 - c)

    assert beta == pytest.approx(6.171, abs=1e-3)
    assert settled(gain**2) == pytest.approx(6.211, abs=1e-3)  # published to four digits; from another start 6.19 to 6.22
    assert settled(0.95 * gain**2) < 0.01
    assert settled(1.05 * gain**2) > 50


def tanh_moment(q: float) -> float:
    """Return E tanh²."""
    return float(expectation(lambda u: np.tanh(u) ** 2, q))


@pytest.mark.parametrize("alpha", [1.0, 0.5, 0.125])
def test_relu_residual_grows_by_one_plus_alpha_squared(alpha: float) -> None:
    """x + α f(x) with He multiplies signal and gradient by 1 + α² in every block."""
    profile = forecast(Mlp(depth=64, residual="plain", branch_scale=alpha))
    growth = 1 + alpha**2

    assert profile.gain_per_block("signal") == pytest.approx(growth)
    assert profile.gain_per_block("gradient") == pytest.approx(1 / growth)


def test_one_over_root_depth_keeps_a_residual_network_at_e() -> None:
    """With α = 1/√L the signal grows by (1 + 1/L)^L → e whatever the depth; with α = 1 by 2^L."""
    for depth in (64, 256):
        profile = forecast(Mlp(depth=depth, residual="scaled"))
        signal = profile.values["signal"][-1]
        assert signal is not None
        assert signal == pytest.approx((1 + 1 / depth) ** depth)
        assert signal == pytest.approx(e, rel=0.01)  # e/2L
    assert forecast(Mlp(depth=64, residual="plain")).values["signal"][-1] == pytest.approx(2.0**64)


@pytest.mark.parametrize("gain", [1.0, 2.0])
def test_tanh_residual_gradient_grows_like_exp_of_root_depth(gain: float) -> None:
    """x + W tanh(x): log gradient ~ (8/3)/√(2π) σ_w √l (Yang & Schoenholz 2017), and the signal ~ l; ReLU: ~ l log 2."""
    short, long = 900, 3600
    logs = [log(mean_gradient(depth, activation="tanh", init="lecun", gain=gain, residual="plain")) for depth in (short, long)]
    rate = (logs[1] - logs[0]) / (sqrt(long) - sqrt(short))

    assert rate == pytest.approx(8 / 3 / sqrt(2 * pi) * gain, rel=0.06)  # terms of order log l
    relu = [log(mean_gradient(depth, residual="plain")) for depth in (100, 200)]
    assert (relu[1] - relu[0]) / 100 == pytest.approx(log(2))


def test_batch_norm_makes_plain_relu_gradients_explode() -> None:
    """Each BatchNorm-ReLU layer multiplies the gradient by √(π/(π−1)) = 1.211 (Yang et al. 2019); LayerNorm does not."""
    batch, layer = (forecast(Mlp(depth=30, norm=norm)).gain_per_block("gradient") for norm in ("batch", "layer"))
    assert batch is not None
    assert layer is not None

    assert batch**-0.5 == pytest.approx(sqrt(pi / (pi - 1)), rel=1e-4)  # ε of the norm
    assert layer**-0.5 == pytest.approx(1.0, rel=1e-4)


def test_pre_norm_signal_is_linear_in_depth() -> None:
    """The pre-norm stream grows by the same amount in every block, so its gradient only like a power of depth."""
    signals = np.array(forecast(Mlp(depth=96, residual="pre-norm")).values["signal"])

    assert np.diff(signals) == pytest.approx(1.0, rel=1e-4)  # ε of the norm
    assert mean_gradient(96, residual="pre-norm") == pytest.approx(97 / 2, rel=1e-3)
    assert mean_gradient(96, residual="post-norm") == pytest.approx(1.0, rel=2e-3)


def test_critical_length_and_variances_lie_on_the_edge() -> None:
    """The curve of all critical tanh networks passes through the published point and not through its neighbour."""
    assert edge_of_chaos("tanh", 0.57005) == pytest.approx((1.76095, 0.05), abs=1e-4)
    assert edge_of_chaos("tanh", 0.60) != pytest.approx((1.76095, 0.05), abs=1e-3)
    assert find_activation("tanh").saturates
