"""Fixed points, depth scales, critical gains: defined where they are, None where not."""

from math import inf, sqrt

import numpy as np
import pytest

from fathometer.activations import ACTIVATIONS
from fathometer.errors import SpecError
from fathometer.theory import (
    correlation_map,
    critical_gain,
    depth_scales,
    edge_of_chaos,
    fixed_point,
    length_map,
    signal_keeping_gain,
    slope,
)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(("weight_variance", "bias_variance"), [(0.5, 0.0), (1.5, 0.05), (1.5, 0.3), (2.5, 0.1), (4.0, 0.0)])
def test_fixed_point_is_where_plain_iteration_ends(name: str, weight_variance: float, bias_variance: float) -> None:
    """Iterating the length map from 1, two thousand times, ends where the root finder says."""
    q = 1.0
    for _ in range(2000):
        q = min(max(float(length_map(name, q, weight_variance, bias_variance)), 1e-14), 1e14)
    expected = fixed_point(name, weight_variance, bias_variance).length

    assert q == pytest.approx(min(max(expected, 1e-14), 1e14), rel=1e-6)  # what 2000 steps leave at the slowest


def test_fixed_correlation_is_where_plain_iteration_ends() -> None:
    """In the chaotic phase c* is what iterating the correlation map at q* gives."""
    point = fixed_point("tanh", 2.0, 0.05)
    c = 0.1
    for _ in range(2000):
        c = float(correlation_map("tanh", c, point.length, 2.0, 0.05))

    assert point.correlation == pytest.approx(c, abs=1e-9)


def test_a_length_that_vanishes_or_explodes_is_said_so() -> None:
    """q* is 0 below the critical ReLU gain, inf above it, and the start itself on it."""
    assert [fixed_point("relu", variance, start=0.3).length for variance in (1.9, 2.0, 2.1)] == [0.0, 0.3, inf]


def test_the_start_decides_where_a_length_repels() -> None:
    """GELU without biases has a length that repels: from below the signal dies, from above it explodes."""
    assert fixed_point("gelu", 2.2, start=0.5).length == 0.0
    assert fixed_point("gelu", 2.2, start=5.0).length == inf


@pytest.mark.parametrize("bias_std", [0.0, 0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_at_the_critical_gain_the_slope_is_one(name: str, bias_std: float) -> None:
    """Where a critical gain is given, χ₁ = 1 at the fixed point that its networks reach, and 10% away it is not."""
    gain = critical_gain(name, bias_std)
    if gain is None:
        assert name in ("relu", "leaky_relu", "linear", "gelu", "gelu_tanh", "silu")
        return
    slopes = [fixed_point(name, (factor * gain) ** 2, bias_std**2).slope for factor in (0.9, 1.0, 1.1)]

    # 3e-4: for elu and selu without bias the length fades to 0 and rounding leaves one just above it (selu: √q corrections)
    assert slopes[1] == pytest.approx(1.0, abs=3e-4)
    assert slopes[0] < 0.999
    assert slopes[2] > 1.001


def test_known_critical_gains() -> None:
    """Tanh 1, ReLU √2, SELU √(2/(λ²(1+α²))); GELU none without biases."""
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    known = {"tanh": 1.0, "elu": 1.0, "linear": 1.0, "relu": sqrt(2), "selu": sqrt(2 / (1 + alpha**2)) / scale}

    assert {name: critical_gain(name) for name in known} == pytest.approx(known, rel=1e-9)
    assert critical_gain("gelu") is None


@pytest.mark.parametrize(
    ("name", "weight_variance", "bias_variance", "length"),
    # Roberts, Yaida & Hanin 2022, "The principles of deep learning theory", section 5.3.4, from memory; SWISH is SiLU
    [("gelu", 1.98305826, 0.17292239, None), ("silu", 1.98800468, 0.55514317, 14.32017362)],
)
def test_gelu_and_silu_become_critical_where_the_length_stops_repelling(
    name: str, weight_variance: float, bias_variance: float, length: float | None
) -> None:
    """Just above the half-stable point a critical gain exists, just below it there is none."""
    gain = critical_gain(name, sqrt(bias_variance * 1.0001))

    assert gain is not None
    assert gain**2 == pytest.approx(weight_variance, rel=1e-4)  # the 1e-4 in the line above
    assert critical_gain(name, sqrt(bias_variance * 0.999)) is None
    if length is not None:
        assert edge_of_chaos(name, length) == pytest.approx((weight_variance, bias_variance), rel=1e-7)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_signal_keeping_gain_keeps_the_length(name: str) -> None:
    """V(q) = q without biases at that gain; at the critical gain of SELU it is not."""
    gain = signal_keeping_gain(name, 0.7)

    assert float(length_map(name, 0.7, gain**2)) == pytest.approx(0.7)
    assert float(length_map("selu", 0.7, critical_gain("selu") ** 2)) < 0.6


def test_the_edge_of_chaos_is_critical_all_along() -> None:
    """On the curve χ₁ = 1 and V(q) = q at every length; a tenth more weight variance leaves it."""
    lengths = np.geomspace(0.01, 10, 7)
    weight_variances, bias_variances = edge_of_chaos("tanh", lengths)

    assert slope("tanh", lengths, weight_variances) == pytest.approx(1.0)
    assert length_map("tanh", lengths, weight_variances, bias_variances) == pytest.approx(lengths)
    assert np.all(slope("tanh", lengths, 1.1 * weight_variances) > 1.05)


def test_depth_scales_are_the_rates_of_the_maps() -> None:
    """ξ_q, measured from the decay of a small deviation, is what the formula gives."""
    scales, q = depth_scales("tanh", 1.5, 0.05), fixed_point("tanh", 1.5, 0.05).length
    before = 1e-5 * q
    after = float(length_map("tanh", q + before, 1.5, 0.05)) - q

    assert -1 / np.log(after / before) == pytest.approx(scales.length, rel=1e-4)  # the deviation's second order


def test_critical_networks_have_no_scale() -> None:
    """On the edge of chaos the scales of correlation and gradient are infinite, beside it finite."""
    assert depth_scales("relu", 2.0).gradient == inf
    assert depth_scales("relu", 1.9).gradient < 100


def test_a_signal_must_be_a_positive_number() -> None:
    """No gain keeps a signal of nothing."""
    with pytest.raises(SpecError, match="above 0"):
        signal_keeping_gain("relu", 0.0)
