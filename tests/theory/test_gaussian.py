"""The quadrature against slow integrals and closed forms."""

from math import pi, sqrt

import numpy as np
import pytest
from scipy.integrate import quad

from fathometer.activations import ACTIVATIONS, find_activation
from fathometer.theory.gaussian import as_activation, expectation, pair_expectation


def slow_expectation(function, variance: float) -> float:
    """Integrate over u by adaptive quadrature, the two half-lines apart."""

    def density(u: float) -> float:
        return float(function(np.full(1, u))[0]) * np.exp(-(u**2) / (2 * variance)) / sqrt(2 * pi * variance)

    reach = 9 * sqrt(variance)
    near = min(reach, 10.0)  # where narrow integrands live
    spans = [(-reach, -near), (-near, 0), (0, near), (near, reach)]
    return sum(quad(density, *span, limit=500, epsabs=1e-14, epsrel=1e-10)[0] for span in spans if span[0] < span[1])


def slow_pair_expectation(function, variance: float, correlation: float) -> float:
    """Integrate over z₁ and z₂ on a dense grid of midpoints, which no kink touches."""
    edges = np.linspace(-9, 9, 3001)
    z = (edges[1:] + edges[:-1]) / 2
    weights = np.exp(-(z**2) / 2) / sqrt(2 * pi) * (edges[1] - edges[0])
    other = correlation * z[:, None] + sqrt(1 - correlation**2) * z[None, :]
    values = function(sqrt(variance) * z)[:, None] * function(sqrt(variance) * other)
    return float(weights @ values @ weights)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("variance", [1e-4, 1.0, 30.0])
def test_expectation_equals_adaptive_quadrature(name: str, variance: float) -> None:
    """E φ² and E φ′² agree with scipy's adaptive quadrature for every activation, from short to long."""
    activation = find_activation(name)
    for function in (lambda u: activation.function(u) ** 2, lambda u: activation.slope(u) ** 2):
        # 1e-9: quad is asked for 1e-10 on each of four spans
        assert expectation(function, variance) == pytest.approx(slow_expectation(function, variance), rel=1e-9)


def test_narrow_integrands_are_exact_where_gauss_hermite_fails() -> None:
    """E sech⁴(u) at variance 1000 is right to nine digits; Gauss–Hermite with 41 nodes is far off."""
    variance = 1000.0

    def narrow(u):
        return np.cosh(np.minimum(np.abs(u), 300)) ** -4.0

    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    hermite = narrow(sqrt(variance) * nodes) @ weights / sqrt(2 * pi)
    exact = slow_expectation(narrow, variance)

    assert expectation(narrow, variance) == pytest.approx(exact, rel=1e-9)
    assert abs(hermite / exact - 1) > 1  # the negative control


@pytest.mark.parametrize("name", ["tanh", "gelu", "silu", "elu", "sigmoid"])
@pytest.mark.parametrize("correlation", [-0.4, 0.3, 0.95])
def test_pair_expectation_equals_a_dense_grid(name: str, correlation: float) -> None:
    """E φ(u₁)φ(u₂) agrees with a sum over nine million points."""
    function = find_activation(name).function

    # 1e-6: a grid of spacing 0.006 errs by its square where elu bends at 0
    expected = slow_pair_expectation(function, 2.0, correlation)
    assert pair_expectation(function, 2.0, correlation) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("correlation", [-1.0, -0.5, 0.0, 0.5, 0.99, 1 - 1e-8, 1.0])
def test_pair_expectation_equals_the_arc_cosine_kernel(correlation: float) -> None:
    """For ReLU the three arcs give the closed form of Cho & Saul 2009, kinks and all."""
    relu = find_activation("relu").function
    closed = (sqrt(1 - correlation**2) + correlation * (pi - np.arccos(correlation))) / (2 * pi)

    assert pair_expectation(relu, 1.0, correlation) == pytest.approx(closed, abs=1e-13)  # rounding alone


def test_arrays_give_one_number_for_each_variance() -> None:
    """Variances and correlations of one shape give that shape, equal to one call for each."""
    tanh = find_activation("tanh").function
    variances, correlations = np.array([0.1, 1.0, 5.0]), np.array([0.0, 0.5, 0.9])

    together = pair_expectation(tanh, variances, correlations)
    each = [pair_expectation(tanh, float(q), float(c)) for q, c in zip(variances, correlations, strict=True)]

    assert np.allclose(together, each, rtol=1e-13)


def test_an_activation_may_be_given_by_name() -> None:
    """A name and the activation itself are the same thing."""
    assert as_activation("gelu") is as_activation(find_activation("gelu"))
