"""What one layer of infinite width does to signal and gradient.

Letters: q length (second moment) of the pre-activations, c correlation of two samples, φ activation, φ′ its slope,
σ_w² weight variance (fan_in times that of one weight), σ_b² bias variance, χ slope: the growth of the gradient.

Poole et al. 2016, "Exponential expressivity in deep neural networks through transient chaos"; Schoenholz et al. 2017,
"Deep information propagation"; Cho & Saul 2009 for the closed forms.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fathometer.activations import Activation
from fathometer.theory.gaussian import Z_WEIGHTS, Number, Z, as_activation, expectation, pair_expectation

_FLATTEST = 1e18  # beyond, no node of the quadrature is near enough to 0 to see a slope
_MOMENT_WEIGHTS = np.stack([Z_WEIGHTS, Z_WEIGHTS * (Z**2 - 1) / 2, Z_WEIGHTS * Z], axis=1)


@dataclass(frozen=True)
class ActivationMoments:
    """What an activation makes of Gaussian numbers of one length q.

    `signal` = E φ² and `slope` = E φ′². Growths are their derivatives, d log/d log q; tilts E φ²z/E φ² and E φ′²z/E φ′².
    Spreads are relative variances over units: Var φ²/(E φ²)², Var φ′²/(E φ′²)², and the covariance of the two.
    """

    signal: float
    slope: float
    signal_growth: float
    slope_growth: float
    signal_tilt: float
    slope_tilt: float
    signal_spread: float
    slope_spread: float
    shared_spread: float


def activation_moments(activation: Activation, length: float) -> ActivationMoments:
    """Return the moments at one length; d/dq E f(u) = E f(u)(z² − 1)/2q gives the growths without φ″."""
    u = np.sqrt(min(length, _FLATTEST) if activation.saturates else length) * Z
    value, slope = activation.function(u) ** 2, activation.slope(u) ** 2
    (V, V_growth, V_tilt), (D, D_growth, D_tilt), (VV, *_), (DD, *_), (VD, *_) = (
        np.stack([value, slope, value * value, slope * slope, value * slope]) @ _MOMENT_WEIGHTS
    ).tolist()
    assert V > 0, f"{activation.name} is 0 everywhere at length {length}"
    assert D > 0, f"{activation.name} is flat everywhere at length {length}"
    spreads = VV / V**2 - 1, DD / D**2 - 1, VD / (V * D) - 1
    return ActivationMoments(V, D, V_growth / V, D_growth / D, V_tilt / V, D_tilt / D, *spreads)


def signal_moment(activation: Activation, length: Number) -> Number:
    """Return E φ(u)²."""
    if activation.homogeneous:
        even, odd = _parts(activation)
        return (even**2 + odd**2) * np.asarray(length, float)
    return expectation(lambda u: activation.function(u) ** 2, length)


def slope_moment(activation: Activation, length: Number) -> Number:
    """Return E φ′(u)²."""
    if activation.homogeneous:
        even, odd = _parts(activation)
        return np.full(np.shape(length), even**2 + odd**2)
    return expectation(lambda u: activation.slope(u) ** 2, length)


def pair_moment(activation: Activation, length: Number, correlation: Number) -> Number:
    """Return E φ(u₁)φ(u₂); for homogeneous activations the arc-cosine kernel of degree 1.

    φ = odd·x + even·|x| gives q(odd²c + even²(2/π)(√(1−c²) + c arcsin c)).
    """
    if not activation.homogeneous:
        return pair_expectation(activation.function, length, correlation)
    even, odd = _parts(activation)
    c = np.clip(np.asarray(correlation, float), -1, 1)
    return np.asarray(length) * (odd**2 * c + even**2 * 2 / np.pi * (np.sqrt(1 - c**2) + c * np.arcsin(c)))


def pair_slope_moment(activation: Activation, length: Number, correlation: Number) -> Number:
    """Return E φ′(u₁)φ′(u₂); for homogeneous activations the arc-cosine kernel of degree 0."""
    if not activation.homogeneous:
        return pair_expectation(activation.slope, length, correlation)
    even, odd = _parts(activation)
    return odd**2 + even**2 * 2 / np.pi * np.arcsin(np.clip(np.asarray(correlation, float), -1, 1))


def length_map(activation: Activation | str, length: Number, weight_variance: Number, bias_variance: Number = 0.0) -> Number:
    """Return the length of the next layer's pre-activations, V(q) = σ_w² E φ(u)² + σ_b².

    >>> float(length_map("relu", 1.0, 2.0))
    1.0
    """
    return weight_variance * signal_moment(as_activation(activation), length) + bias_variance


def correlation_map(
    activation: Activation | str,
    correlation: Number,
    length: Number = 1.0,
    weight_variance: Number = 1.0,
    bias_variance: Number = 0.0,
) -> Number:
    """Return the correlation of the next layer's pre-activations, (σ_w² E φ(u₁)φ(u₂) + σ_b²)/V(q).

    >>> round(float(correlation_map("relu", 0.0)), 4)
    0.3183
    """
    activation = as_activation(activation)
    pair = weight_variance * pair_moment(activation, length, correlation) + bias_variance
    return pair / length_map(activation, length, weight_variance, bias_variance)


def slope(activation: Activation | str, length: Number, weight_variance: Number, correlation: Number | None = None) -> Number:
    """Return χ = σ_w² E φ′(u₁)φ′(u₂) at this correlation; without one, χ₁ = σ_w² E φ′(u)².

    χ₁ is the growth of the gradient's second moment, layer by layer on its way back; χ₁ = 1 is the edge of chaos.

    >>> float(slope("relu", 1.0, 2.0))
    1.0
    """
    activation = as_activation(activation)
    if correlation is None:
        return weight_variance * slope_moment(activation, length)
    return weight_variance * pair_slope_moment(activation, length, correlation)


def saturation_edge(activation: Activation) -> float:
    """Return the u > 0 beyond which the slope of a saturating activation is below 1% of its largest, φ′(0)."""
    assert activation.saturates, f"{activation.name} does not saturate"
    top = activation.slope(np.zeros(1))[0]
    return find_root(lambda u: float(activation.slope(np.full(1, u))[0] / top - 0.01), 0.0, 50.0)


def find_root(function: Callable[[float], float], lower: float, upper: float) -> float:
    """Return where a function that changes sign between two numbers is 0, to 13 digits (Brent 1973)."""
    from scipy.optimize import brentq

    root, _ = brentq(function, lower, upper, xtol=1e-15, rtol=1e-13, full_output=True)
    return root


def _parts(activation: Activation) -> tuple[float, float]:
    # A homogeneous φ is odd·x + even·|x|; its slopes on the two sides say how much of each.
    above, below = activation.slope(np.array([1.0, -1.0])).tolist()
    return (above - below) / 2, (above + below) / 2
