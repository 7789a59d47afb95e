"""What does happen? Measurements of any module, which it never notices."""

from fathometer.instruments.accounting import Accounting, ModuleCost, TensorCost, account
from fathometer.instruments.depth_points import DepthPoint, DepthPoints, find_depth_points
from fathometer.instruments.geometry import as_rows, correlation, effective_rank, second_moment
from fathometer.instruments.keep import seed_generators, seeded, unchanged
from fathometer.instruments.sounding import Sounding, first_non_finite, sound
from fathometer.instruments.taps import ActivationEar, Call, listen

__all__ = [
    "Accounting",
    "ActivationEar",
    "Call",
    "DepthPoint",
    "DepthPoints",
    "ModuleCost",
    "Sounding",
    "TensorCost",
    "account",
    "as_rows",
    "correlation",
    "effective_rank",
    "find_depth_points",
    "first_non_finite",
    "listen",
    "second_moment",
    "seed_generators",
    "seeded",
    "sound",
    "unchanged",
]
