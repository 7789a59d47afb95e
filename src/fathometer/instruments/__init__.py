"""What does happen? Measurements of any module, which it never notices."""

from fathometer.instruments.accounting import Accounting, ModuleCost, TensorCost, account
from fathometer.instruments.curvature import Curvature, loss_curvature
from fathometer.instruments.depth_points import DepthPoint, DepthPoints, find_depth_points
from fathometer.instruments.geometry import as_rows, correlation, effective_rank, second_moment
from fathometer.instruments.keep import seed_generators, seeded, unchanged
from fathometer.instruments.operations import NonFinite, first_non_finite
from fathometer.instruments.per_sample import GradientGram, gradient_gram
from fathometer.instruments.shattering import Shattering, gradient_reach
from fathometer.instruments.sounded import Sounding
from fathometer.instruments.sounding import sound
from fathometer.instruments.taps import Call, Ear, listen

__all__ = [
    "Accounting",
    "Call",
    "Curvature",
    "DepthPoint",
    "DepthPoints",
    "Ear",
    "GradientGram",
    "ModuleCost",
    "NonFinite",
    "Shattering",
    "Sounding",
    "TensorCost",
    "account",
    "as_rows",
    "correlation",
    "effective_rank",
    "find_depth_points",
    "first_non_finite",
    "gradient_gram",
    "gradient_reach",
    "listen",
    "loss_curvature",
    "second_moment",
    "seed_generators",
    "seeded",
    "sound",
    "unchanged",
]
