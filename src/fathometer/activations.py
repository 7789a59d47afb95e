"""Every activation once: its function, its slope, facts for theory."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fathometer.errors import look_up

Array = Float[np.ndarray, "..."]
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017, "Self-normalizing neural networks"
GELU_OUTER, GELU_CUBE = (2 / np.pi) ** 0.5, 0.044715  # Hendrycks & Gimpel 2016; GPT-2 computes its GELU so
LEAKY_SLOPE = 0.01  # torch's default


@dataclass(frozen=True)
class Activation:
    """A scalar function φ with its slope φ′, elementwise on arrays of any shape.

    `kinks` are the points where φ′ or φ″ jumps (quadrature splits there); `saturates` says that φ′ → 0 on both sides;
    `zeroes` says that φ is exactly 0 for all negative inputs (a unit can die); `homogeneous` that φ(ax) = aφ(x), a > 0;
    `classic_gain` is the textbook gain of `torch.nn.init.calculate_gain` (None where there is none).
    """

    name: str
    function: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    kinks: tuple[float, ...] = ()
    saturates: bool = False
    zeroes: bool = False
    homogeneous: bool = False
    classic_gain: float | None = None


def find_activation(name: str) -> Activation:
    """Return the activation of that name.

    >>> find_activation("tanh").saturates
    True
    """
    return look_up("activation", name, ACTIVATIONS)


def _normal_density(x: Array) -> Array:
    return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def _normal_cdf(x: Array) -> Array:
    from scipy.special import erf  # a third of a second to import, which most commands need not

    return (1 + erf(x / np.sqrt(2))) / 2


def _sigmoid(x: Array) -> Array:
    from scipy.special import expit

    return expit(x)


def _leaky(x: Array) -> Array:
    return np.where(x > 0, x, LEAKY_SLOPE * x)


def _elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _elu_slope(x: Array) -> Array:
    return np.where(x > 0, 1.0, np.exp(np.minimum(x, 0)))


def _gelu_tanh(x: Array) -> Array:
    return x / 2 * (1 + np.tanh(GELU_OUTER * (x + GELU_CUBE * x**3)))


def _gelu_tanh_slope(x: Array) -> Array:
    tanh = np.tanh(GELU_OUTER * (x + GELU_CUBE * x**3))
    return (1 + tanh) / 2 + x / 2 * (1 - tanh**2) * GELU_OUTER * (1 + 3 * GELU_CUBE * x**2)


def _silu_slope(x: Array) -> Array:
    return _sigmoid(x) * (1 + x * _sigmoid(-x))


def _selu(x: Array) -> Array:
    return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0)))


def _selu_slope(x: Array) -> Array:
    return SELU_SCALE * np.where(x > 0, 1.0, SELU_ALPHA * np.exp(np.minimum(x, 0)))


_ALL = (
    Activation("linear", lambda x: 1.0 * x, np.ones_like, homogeneous=True, classic_gain=1.0),
    Activation(
        "relu",
        lambda x: np.maximum(x, 0.0),
        lambda x: np.where(x > 0, 1.0, 0.0),
        kinks=(0.0,),
        zeroes=True,
        homogeneous=True,
        classic_gain=2**0.5,
    ),
    Activation(
        "leaky_relu",
        _leaky,
        lambda x: np.where(x > 0, 1.0, LEAKY_SLOPE),
        kinks=(0.0,),
        homogeneous=True,
        classic_gain=(2 / (1 + LEAKY_SLOPE**2)) ** 0.5,
    ),
    Activation("elu", _elu, _elu_slope, kinks=(0.0,)),
    Activation("gelu", lambda x: x * _normal_cdf(x), lambda x: _normal_cdf(x) + x * _normal_density(x)),
    Activation("gelu_tanh", _gelu_tanh, _gelu_tanh_slope),
    Activation("silu", lambda x: x * _sigmoid(x), _silu_slope),
    Activation("tanh", np.tanh, lambda x: 1 - np.tanh(x) ** 2, saturates=True, classic_gain=5 / 3),
    Activation("sigmoid", _sigmoid, lambda x: _sigmoid(x) * _sigmoid(-x), saturates=True, classic_gain=1.0),
    Activation("selu", _selu, _selu_slope, kinks=(0.0,), classic_gain=0.75),
)
ACTIVATIONS: dict[str, Activation] = {activation.name: activation for activation in _ALL}
