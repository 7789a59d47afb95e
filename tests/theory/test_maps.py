"""The maps of one layer: closed forms against the quadrature, growths against differences."""

import numpy as np
import pytest

from fathometer.activations import ACTIVATIONS, find_activation
from fathometer.theory import correlation_map, length_map, slope
from fathometer.theory.gaussian import expectation, pair_expectation
from fathometer.theory.maps import (
    activation_moments,
    pair_moment,
    pair_slope_moment,
    saturation_edge,
    signal_moment,
    slope_moment,
)

HOMOGENEOUS = [name for name, activation in ACTIVATIONS.items() if activation.homogeneous]


@pytest.mark.parametrize("name", HOMOGENEOUS)
@pytest.mark.parametrize("correlation", [-0.9, 0.0, 0.4, 0.999])
def test_closed_forms_equal_the_quadrature(name: str, correlation: float) -> None:
    """The closed forms of homogeneous activations agree with the quadrature that serves all others."""
    activation, q = find_activation(name), 1.7
    twins = [
        (signal_moment(activation, q), expectation(lambda u: activation.function(u) ** 2, q)),
        (slope_moment(activation, q), expectation(lambda u: activation.slope(u) ** 2, q)),
        (pair_moment(activation, q, correlation), pair_expectation(activation.function, q, correlation)),
        (pair_slope_moment(activation, q, correlation), pair_expectation(activation.slope, q, correlation)),
    ]
    for closed, slow in twins:
        assert float(closed) == pytest.approx(float(slow), rel=1e-12)  # rounding alone


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_growths_are_the_derivatives_of_the_moments(name: str) -> None:
    """Signal and slope growth equal central differences of log E φ² and log E φ′² in log q."""
    activation, q, step = find_activation(name), 1.3, 1e-4
    at = activation_moments(activation, q)
    for growth, moment in ((at.signal_growth, signal_moment), (at.slope_growth, slope_moment)):
        upper, lower = (float(moment(activation, q * np.exp(sign * step))) for sign in (1, -1))
        assert growth == pytest.approx(np.log(upper / lower) / (2 * step), abs=1e-7)  # the step's square, times a few


def test_spreads_of_relu_are_those_of_half_a_gaussian() -> None:
    """For ReLU, Var φ²/(E φ²)² = 5 and Var φ′²/(E φ′²)² = 1, as by hand."""
    at = activation_moments(find_activation("relu"), 1.0)

    assert (at.signal_spread, at.slope_spread, at.shared_spread) == pytest.approx((5.0, 1.0, 1.0))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_two_equal_samples_stay_equal(name: str) -> None:
    """The correlation map of 1 is 1, the slope there is χ₁, and opposite samples are not equal ones."""
    assert float(correlation_map(name, 1.0, 1.5, 2.0, 0.1)) == pytest.approx(1.0, rel=1e-7)  # the plane's quadrature
    assert float(slope(name, 1.5, 2.0, 1.0)) == pytest.approx(float(slope(name, 1.5, 2.0)), rel=1e-6)
    assert float(correlation_map(name, -1.0, 1.5, 2.0, 0.1)) < 1


def test_length_map_is_linear_in_both_variances() -> None:
    """V(q) = σ_w² E φ² + σ_b², here for ReLU with E φ² = q/2."""
    assert float(length_map("relu", 3.0, 1.2, 0.5)) == pytest.approx(1.2 * 1.5 + 0.5)


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_saturation_begins_where_the_slope_is_one_percent(name: str) -> None:
    """At the edge the slope is 1% of the largest, and on both sides of it more and less."""
    activation = find_activation(name)
    edge = saturation_edge(activation)
    before, at, after = activation.slope(np.array([edge - 0.1, edge, edge + 0.1])) / activation.slope(np.zeros(1))

    assert at == pytest.approx(0.01)
    assert before > 0.01 > after
