"""Expectations over one Gaussian number, and over a correlated pair.

Letters: u a Gaussian number, z = u/√q its standard form, q its variance, (u₁, u₂) a pair of the same variance,
c the correlation of the pair.

The line and the plane are split at the origin, where all kinks of the catalogue lie, and the nodes crowd there. Narrow
integrands, where Gauss–Hermite is wrong by ten times, keep ten digits at q = 1000 on the line and five in the plane.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from fathometer.activations import Activation, find_activation

Array = Float[np.ndarray, "..."]
Number = float | Array
Function = Callable[[Array], Array]

REACH = 9.0  # standard deviations; beyond lies 2e-19 of the mass


def _legendre(num_nodes: int, power: int) -> tuple[Array, Array]:
    # Nodes and weights on [0, 1] after x → x^power, which crowds them at 0.
    nodes, weights = np.polynomial.legendre.leggauss(num_nodes)
    nodes, weights = (nodes + 1) / 2, weights / 2
    return nodes**power, power * weights * nodes ** (power - 1)


def _line() -> tuple[Array, Array]:
    nodes, weights = _legendre(64, power=3)
    z = REACH * nodes
    return np.concatenate([-z, z]), np.tile(REACH * weights * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi), 2)


def _radius() -> tuple[Array, Array]:
    nodes, weights = _legendre(32, power=2)
    r = REACH * nodes
    return r, REACH * weights * r * np.exp(-(r**2) / 2)


def _arcs() -> tuple[Array, Array]:
    # The arcs [0, π/2 − t], [π/2 − t, π/2 + t], [π/2 + t, π]: ends, nodes and weights are linear in t, a row for 1 and one for t.
    nodes, weights = _legendre(16, power=1)
    edges = np.array([[0, np.pi / 2, np.pi / 2, np.pi], [0, -1, 1, 0]])
    spans = np.diff(edges)[..., None]
    return (edges[:, :-1, None] + spans * nodes).reshape(2, -1), (spans * weights).reshape(2, -1) / np.pi


Z, Z_WEIGHTS = _line()
_RADIUS, _RADIUS_WEIGHTS = _radius()
_PSI, _PSI_WEIGHTS = _arcs()


def as_activation(activation: Activation | str) -> Activation:
    """Return the activation itself, also when only its name was given."""
    found = find_activation(activation) if isinstance(activation, str) else activation
    assert set(found.kinks) <= {0.0}, f"{found.name}: the quadrature splits at 0 alone"
    return found


def expectation(function: Function, variance: Number) -> Number:
    """Return E[function(u)], u ~ N(0, variance), one number for each variance."""
    u = np.sqrt(np.asarray(variance, float))[..., None] * Z
    return function(u) @ Z_WEIGHTS


def pair_expectation(function: Function, variance: Number, correlation: Number) -> Number:
    """Return E[function(u₁) function(u₂)] for a pair of this variance and correlation, one number for each.

    In polar coordinates around the direction between the two axes, u₁ = √q r cos(ψ+t), u₂ = √q r cos(ψ−t), c = cos 2t.
    The kinks are the rays ψ = π/2 ± t, so the half-plane splits into three smooth arcs; the other half mirrors it.
    """
    t = np.arccos(np.clip(np.asarray(correlation, float), -1, 1))[..., None] / 2
    psi, weights = _PSI[0] + t * _PSI[1], _PSI_WEIGHTS[0] + t * _PSI_WEIGHTS[1]
    length = np.sqrt(np.asarray(variance, float))[..., None, None] * _RADIUS
    values = function(np.cos(psi + t)[..., None] * length) * function(np.cos(psi - t)[..., None] * length)
    return ((values @ _RADIUS_WEIGHTS) * weights).sum(-1)
