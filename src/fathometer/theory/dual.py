"""What an activation makes of a whole kernel of Gaussian vectors.

For one length q, E φ(u₁)φ(u₂) = Σ a_k² c^k, with a_k the Hermite coefficients of φ(√q z) (Daniely et al. 2016, "Toward
deeper understanding of neural networks"). Places of different lengths share the series of their mean length.
"""

from collections.abc import Callable

import numpy as np

from fathometer.activations import Activation
from fathometer.theory.gaussian import Z_WEIGHTS, Array, Number, Z, expectation
from fathometer.theory.maps import pair_moment, pair_slope_moment, signal_moment, slope_moment
from fathometer.theory.places import Kernel

_DEGREE = 24  # what is left beyond counts as one higher power, so that equals stay equal


def _hermite() -> Array:
    # Orthonormal Hermite polynomials at the nodes, one row for each degree.
    rows = [np.ones_like(Z), Z]
    for degree in range(2, _DEGREE + 1):
        rows.append((Z * rows[-1] - np.sqrt(degree - 1) * rows[-2]) / np.sqrt(degree))
    return np.stack(rows)


_WEIGHTED_HERMITE = _hermite() * Z_WEIGHTS


def activated(kernel: Kernel, phi: Activation) -> Kernel:
    """Return the kernel of φ(u) for vectors u of this kernel."""
    if phi.homogeneous:
        return _spread(kernel, lambda c: pair_moment(phi, 1.0, c), signal_moment(phi, kernel.same[0]))
    return _spread(kernel, _series(phi.function, kernel), signal_moment(phi, kernel.same[0]))


def slopes(kernel: Kernel, phi: Activation) -> Kernel:
    """Return the kernel of φ′(u): what a gradient's kernel is multiplied with, place by place."""
    if phi.homogeneous:
        return _spread(kernel, lambda c: pair_slope_moment(phi, 1.0, c), slope_moment(phi, kernel.same[0]))
    return _spread(kernel, _series(phi.slope, kernel), slope_moment(phi, kernel.same[0]))


def _series(function: Callable[[Array], Array], kernel: Kernel) -> Callable[[Array], Array]:
    root = float(np.mean(kernel.same[0])) ** 0.5
    powers = (_WEIGHTED_HERMITE @ function(root * Z)) ** 2
    whole = float(expectation(lambda u: function(u) ** 2, root**2))
    powers = np.append(powers, max(whole - float(powers.sum()), 0.0))
    return lambda c: np.polynomial.polynomial.polyval(c, powers)


def _spread(kernel: Kernel, of_cosine: Callable[[Array], Number], moments: Number) -> Kernel:
    cosines = kernel.cosines()
    equal = float(np.asarray(of_cosine(np.ones(1)))[0])
    same, pairs = (np.asarray(of_cosine(np.clip(cosine, -1, 1))) for cosine in (cosines.same, cosines.pairs))
    return Kernel(same, pairs).scaled(np.asarray(moments) / (equal if equal > 0 else 1.0))
