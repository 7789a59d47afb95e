"""How big is it, how big should it be, and what loss does that buy?"""

from fathometer.scaling.chips import CHIPS, Chip, find_chip, peak_flops
from fathometer.scaling.costs import (
    PETAFLOP_DAY,
    backward_flops,
    flops_by_group,
    forward_flops,
    forward_flops_per_token,
    num_parameters,
    parameters_by_group,
    run_flops,
    training_flops,
)
from fathometer.scaling.estimate import Estimate
from fathometer.scaling.fit import fit_law
from fathometer.scaling.law import Law
from fathometer.scaling.leave_out import LeftOut, leave_out
from fathometer.scaling.memory import Memory, memory_bytes
from fathometer.scaling.optimum import Optimum, disagreement, optimum
from fathometer.scaling.plan import Plan, plan
from fathometer.scaling.published import PUBLISHED, find_law
from fathometer.scaling.shapes import OPINIONS

__all__ = [
    "CHIPS",
    "OPINIONS",
    "PETAFLOP_DAY",
    "PUBLISHED",
    "Chip",
    "Estimate",
    "Law",
    "LeftOut",
    "Memory",
    "Optimum",
    "Plan",
    "backward_flops",
    "disagreement",
    "find_chip",
    "find_law",
    "fit_law",
    "flops_by_group",
    "forward_flops",
    "forward_flops_per_token",
    "leave_out",
    "memory_bytes",
    "num_parameters",
    "optimum",
    "parameters_by_group",
    "peak_flops",
    "plan",
    "run_flops",
    "training_flops",
]
