"""How large should each tensor start, and how fast should it move?"""

from fathometer.parametrizations.catalogue import PARAMETRIZATIONS, find_parametrization
from fathometer.parametrizations.roles import Parametrization, Scale, Tensor

__all__ = ["PARAMETRIZATIONS", "Parametrization", "Scale", "Tensor", "find_parametrization"]
