"""How big is it? What a network of this shape costs, in closed form."""

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
from fathometer.scaling.memory import Memory, memory_bytes

__all__ = [
    "PETAFLOP_DAY",
    "Memory",
    "backward_flops",
    "flops_by_group",
    "forward_flops",
    "forward_flops_per_token",
    "memory_bytes",
    "num_parameters",
    "parameters_by_group",
    "run_flops",
    "training_flops",
]
