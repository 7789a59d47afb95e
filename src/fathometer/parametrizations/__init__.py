"""How large should each tensor start, and how fast should it move?"""

from fathometer.parametrizations.catalogue import (
    PARAMETRIZATIONS,
    WIDTH_AWARE,
    branch_multiplier,
    find_parametrization,
    scale_of,
)
from fathometer.parametrizations.gpt2 import GPT2_STD
from fathometer.parametrizations.roles import VECTOR_ROLES, Parametrization, Scale, Tensor

__all__ = [
    "GPT2_STD",
    "PARAMETRIZATIONS",
    "VECTOR_ROLES",
    "WIDTH_AWARE",
    "Parametrization",
    "Scale",
    "Tensor",
    "branch_multiplier",
    "find_parametrization",
    "scale_of",
]
