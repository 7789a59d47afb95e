"""How is any module taught, one step after another?"""

from fathometer.training.evaluate import Evaluation, evaluate, evaluating
from fathometer.training.loop import Fit, fit
from fathometer.training.optimizers import OPTIMIZERS, make_optimizer
from fathometer.training.schedules import SCHEDULES, make_scheduler, rate_multiplier

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "Evaluation",
    "Fit",
    "evaluate",
    "evaluating",
    "fit",
    "make_optimizer",
    "make_scheduler",
    "rate_multiplier",
]
