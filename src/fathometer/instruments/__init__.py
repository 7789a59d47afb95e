"""What does happen? Measurements of any module, which it never notices."""

from fathometer.instruments.accounting import Accounting, ModuleCost, TensorCost, account
from fathometer.instruments.curvature import Curvature, loss_curvature
from fathometer.instruments.depth_points import DepthPoint, DepthPoints, find_depth_points, title_of
from fathometer.instruments.geometry import as_rows, correlation, effective_rank, second_moment
from fathometer.instruments.in_the_open import in_the_open
from fathometer.instruments.keep import seed_generators, seeded, unchanged
from fathometer.instruments.non_finite import NonFinite
from fathometer.instruments.operations import all_finite, first_non_finite
from fathometer.instruments.per_sample import GradientGram, gradient_gram
from fathometer.instruments.pieces import LinePieces, pieces_on_line
from fathometer.instruments.plane_pieces import PlaneRegions, regions_on_plane
from fathometer.instruments.recurrent import step_by_step
from fathometer.instruments.shattering import Shattering, gradient_reach
from fathometer.instruments.sounded import Sounding
from fathometer.instruments.sounding import sound
from fathometer.instruments.taps import Call, Ear, listen, rewriting
from fathometer.instruments.trace import Recorder, Step, trace_of

__all__ = [
    "Accounting",
    "Call",
    "Curvature",
    "DepthPoint",
    "DepthPoints",
    "Ear",
    "GradientGram",
    "LinePieces",
    "ModuleCost",
    "NonFinite",
    "PlaneRegions",
    "Recorder",
    "Shattering",
    "Sounding",
    "Step",
    "TensorCost",
    "account",
    "all_finite",
    "as_rows",
    "correlation",
    "effective_rank",
    "find_depth_points",
    "first_non_finite",
    "gradient_gram",
    "gradient_reach",
    "in_the_open",
    "listen",
    "loss_curvature",
    "pieces_on_line",
    "regions_on_plane",
    "rewriting",
    "second_moment",
    "seed_generators",
    "seeded",
    "sound",
    "step_by_step",
    "title_of",
    "trace_of",
    "unchanged",
]
