"""How is any module taught, one step after another?"""

from fathometer.training.blocks import chains
from fathometer.training.course import Course, begin
from fathometer.training.evaluate import Evaluation, evaluate, evaluating
from fathometer.training.loop import Fit, fit, go_on
from fathometer.training.optimizers import OPTIMIZERS, make_optimizer
from fathometer.training.recompute import recomputing
from fathometer.training.schedules import SCHEDULES, rate_multiplier, set_rates

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "Course",
    "Evaluation",
    "Fit",
    "begin",
    "chains",
    "evaluate",
    "evaluating",
    "fit",
    "go_on",
    "make_optimizer",
    "rate_multiplier",
    "recomputing",
    "set_rates",
]
