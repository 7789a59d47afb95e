"""Where signal and gradient survive: fixed points, the edge of chaos.

Letters: q* the length that layers settle at, c* the correlation, χ₁ slope at c = 1, χ_c* slope at c*, σ_w² and σ_b²
weight and bias variance, V(q) the length map.

Poole et al. 2016; Schoenholz et al. 2017; Hayou et al. 2019, "On the impact of the activation function on deep neural
networks training".
"""

from dataclasses import dataclass
from math import inf, log

import numpy as np

from fathometer.activations import Activation
from fathometer.errors import SpecError, shown
from fathometer.theory.gaussian import Number, as_activation
from fathometer.theory.maps import (
    activation_moments,
    correlation_map,
    find_root,
    length_map,
    pair_slope_moment,
    signal_moment,
    slope_moment,
)

SHORTEST, LONGEST = 1e-12, 1e12  # a length beyond these counts as 0 or infinite
_NEARLY = {0.0: SHORTEST**2, inf: LONGEST**2}  # where the limits are evaluated
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class FixedPoint:
    """Where depth takes the signal: `length` q* (0 and inf included), `correlation` c* (None: any stays), `slope` χ₁."""

    length: float
    correlation: float | None
    slope: float


@dataclass(frozen=True)
class DepthScales:
    """Over how many layers each quantity changes by a factor e near the fixed point; inf where it does not.

    Networks train up to a depth of about six correlation scales (Schoenholz et al. 2017): a rule of thumb, an upper bound.
    """

    length: float
    correlation: float
    gradient: float


def fixed_point(
    activation: Activation | str, weight_variance: float, bias_variance: float = 0.0, *, start: float = 1.0
) -> FixedPoint:
    """Return the fixed point that the length map reaches from `start`.

    V is increasing, so the way never turns back: it ends at the first root of V(q) = q in its direction.

    >>> round(fixed_point("tanh", 1.5, 0.05).length, 5)
    0.41804
    """
    activation = as_activation(activation)
    q = _settled_length(activation, weight_variance, bias_variance, start)
    within = _NEARLY.get(q, q)
    chi = float(weight_variance * slope_moment(activation, within))
    return FixedPoint(q, _settled_correlation(activation, within, weight_variance, bias_variance), chi)


def depth_scales(
    activation: Activation | str, weight_variance: float, bias_variance: float = 0.0, *, start: float = 1.0
) -> DepthScales:
    """Return ξ_q, ξ_c and ξ_∇ at the fixed point: 1/|log V′(q*)|, 1/|log χ_c*| and 1/|log χ₁|.

    >>> round(depth_scales("tanh", 1.5, 0.05).correlation, 2)
    15.79
    """
    activation = as_activation(activation)
    point = fixed_point(activation, weight_variance, bias_variance, start=start)
    q = _NEARLY.get(point.length, point.length)
    at = activation_moments(activation, q)
    c = 1.0 if point.correlation is None else point.correlation
    chi_c = float(weight_variance * pair_slope_moment(activation, q, c)) if c < 1 else point.slope
    return DepthScales(_scale(weight_variance * at.signal * at.signal_growth / q), _scale(chi_c), _scale(point.slope))


def critical_gain(activation: Activation | str, bias_std: float = 0.0) -> float | None:
    """Return the σ_w at which χ₁ = 1 at a fixed point that draws the signal in; None where there is none.

    There gradients neither grow nor shrink: tanh and elu 1, selu 0.69 (all three while the signal itself fades like
    1/depth), relu √2 and linear 1 (any length stays), sigmoid 10.15. None: relu and linear with a bias; and gelu and silu
    without one of at least 0.42 and 0.75, where χ₁ = 1 holds at a length that repels: a larger signal explodes, a smaller
    one dies out. For those `signal_keeping_gain` is the better question.

    >>> round(critical_gain("tanh"), 6)
    1.0
    """
    activation = as_activation(activation)
    q = _critical_length(activation, bias_std**2)
    if q is None:
        return None
    near = max(q, 1e-6)  # at q* = 0 itself V′ is 1: what happens just above decides
    at = activation_moments(activation, near)
    draws_in = at.signal_growth * at.signal / at.slope <= near * (1 + _TOLERANCE)
    return float(slope_moment(activation, q)) ** -0.5 if draws_in else None


def signal_keeping_gain(activation: Activation | str, signal: float = 1.0) -> float:
    """Return the σ_w, without biases, at which pre-activations of second moment `signal` keep it in the next layer.

    Exact for every activation, but only of the length: the gradient grows by χ₁, which is 1 for relu, leaky_relu and
    linear alone, and the length may be one that repels (gelu, silu).

    >>> round(signal_keeping_gain("selu"), 6)
    1.0
    """
    if not 0 < signal < inf:
        raise SpecError(f"`signal` is {shown(signal)}", "It must be a finite number above 0", "Try signal = 1.0")
    return float((signal / signal_moment(as_activation(activation), signal)) ** 0.5)


def edge_of_chaos(activation: Activation | str, lengths: Number) -> tuple[Number, Number]:
    """Return (σ_w², σ_b²) of the networks that are critical with q* = each length; σ_b² < 0 means that there is none.

    From χ₁ = 1 and V(q) = q: σ_w² = 1/E φ′² and σ_b² = q − E φ²/E φ′².

    >>> [round(float(value), 3) for value in edge_of_chaos("tanh", 0.57005)]
    [1.761, 0.05]
    """
    activation = as_activation(activation)
    slopes = slope_moment(activation, lengths)
    return 1 / slopes, lengths - signal_moment(activation, lengths) / slopes


def _settled_length(activation: Activation, weight_variance: float, bias_variance: float, start: float) -> float:
    def excess(q: Number) -> Number:
        return length_map(activation, q, weight_variance, bias_variance) / q - 1

    first = float(excess(start))
    if abs(first) < _TOLERANCE:
        return start
    end = LONGEST if first > 0 else SHORTEST
    way = np.geomspace(start, end, num=400)
    turned = np.flatnonzero(np.sign(excess(way)) != np.sign(first))
    if not turned.size:
        return inf if first > 0 else 0.0
    lower, upper = sorted(way[turned[0] - 1 : turned[0] + 1].tolist())
    return find_root(lambda q: float(excess(q)), lower, upper)


def _settled_correlation(activation: Activation, q: float, weight_variance: float, bias_variance: float) -> float | None:
    def excess(c: float) -> float:
        return float(correlation_map(activation, c, q, weight_variance, bias_variance)) - c

    below_one = 1 - 1e-8
    if max(abs(excess(c)) for c in (0.2, 0.5, 0.8)) < _TOLERANCE:
        return None
    if excess(below_one) >= -_TOLERANCE * 1e-3:  # c = 1 draws in, or repels too weakly to tell
        return 1.0
    return find_root(excess, 0.0, below_one) if excess(0.0) > _TOLERANCE else 0.0


def _scale(rate: float) -> float:
    if rate <= 0:
        return 0.0
    return inf if abs(log(rate)) < _TOLERANCE else 1 / abs(log(rate))


def _critical_length(activation: Activation, bias_variance: float) -> float | None:
    if activation.homogeneous:
        return 1.0 if bias_variance == 0 else None
    if bias_variance == 0 and activation.function(np.zeros(1))[0] == 0:
        return _NEARLY[0.0]

    def excess(q: Number) -> Number:
        return edge_of_chaos(activation, q)[1] - bias_variance

    grid = np.geomspace(SHORTEST, LONGEST, num=400)
    above = np.flatnonzero(excess(grid) > 0)
    if not above.size or above[0] == 0:
        return None
    lower, upper = grid[above[0] - 1 : above[0] + 1].tolist()
    return find_root(lambda q: float(excess(q)), lower, upper)
