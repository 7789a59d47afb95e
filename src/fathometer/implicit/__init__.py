"""What would a layer do whose weights are too large to be made?"""

from fathometer.implicit.blocks import implicit_weights, replay, session_of
from fathometer.implicit.layers import ImplicitEmbedding, ImplicitLinear
from fathometer.implicit.learning import Learned, Rule
from fathometer.implicit.making import SMALLEST, Start, make_implicit
from fathometer.implicit.matrix import Matrix, Session
from fathometer.implicit.unmade import Unmade
from fathometer.implicit.weight import ImplicitWeight, implicit_parameter

__all__ = [
    "SMALLEST",
    "ImplicitEmbedding",
    "ImplicitLinear",
    "ImplicitWeight",
    "Learned",
    "Matrix",
    "Rule",
    "Session",
    "Start",
    "Unmade",
    "implicit_parameter",
    "implicit_weights",
    "make_implicit",
    "replay",
    "session_of",
]
