"""The parametrizations by name: one function, one line here."""

from dataclasses import replace

from fathometer.errors import look_up
from fathometer.parametrizations.classic import he, lecun, orthogonal, pytorch, xavier
from fathometer.parametrizations.completep import completep, depth_mup
from fathometer.parametrizations.fixup import fixup
from fathometer.parametrizations.gpt2 import gpt2
from fathometer.parametrizations.mup import mup
from fathometer.parametrizations.roles import VECTOR_ROLES, Parametrization, Scale, Tensor

PARAMETRIZATIONS: dict[str, Parametrization] = {
    "pytorch": pytorch,
    "lecun": lecun,
    "xavier": xavier,
    "he": he,
    "orthogonal": orthogonal,
    "fixup": fixup,
    "gpt2": gpt2,
    "mup": mup,
    "depth-mup": depth_mup,
    "completep": completep,
}
# α: each residual branch is multiplied with (depth over base depth)^-α.
BRANCH_EXPONENTS = {"depth-mup": 0.5, "completep": 1.0}
WIDTH_AWARE = ("mup", "depth-mup", "completep")  # these also scale attention by 1/head_width


def find_parametrization(name: str) -> Parametrization:
    """Return the parametrization of that name, or raise with the nearest right one."""
    return look_up("initialisation", name, PARAMETRIZATIONS)


def scale_of(name: str, tensor: Tensor) -> Scale:
    """Return the scale that the parametrization of that name gives to any tensor; a vector starts at its constant."""
    scale = find_parametrization(name)(tensor)
    return replace(scale, weight_std=0.0, bias_std=0.0, distribution="normal") if tensor.role in VECTOR_ROLES else scale


def branch_multiplier(name: str, depth_ratio: float) -> float:
    """Return what the parametrization multiplies each residual branch with: m_L^-α, and 1 where it says nothing.

    >>> branch_multiplier("completep", 8.0)
    0.125
    """
    return depth_ratio ** -BRANCH_EXPONENTS.get(name, 0.0)
