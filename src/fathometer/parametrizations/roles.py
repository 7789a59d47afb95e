"""A tensor's role and sizes, and the scale that it is given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Role = Literal["input", "hidden", "branch_last", "output"]
Distribution = Literal["normal", "uniform", "orthogonal"]


@dataclass(frozen=True)
class Tensor:
    """What a parametrization may know of a weight matrix: its role, its sizes, and where it stands in depth.

    `role` is "input" (stem), "hidden" (inside a block), "branch_last" (the last matrix of a residual branch)
    or "output" (readout). `depth` counts blocks; `branch_layers` the matrices in one branch.
    `activation_gain` is the classic gain of the activation in front of it (1 when it has none).
    """

    role: Role
    fan_in: int
    fan_out: int
    depth: int = 1
    branch_layers: int = 1
    activation_gain: float = 1.0


@dataclass(frozen=True)
class Scale:
    """How a weight starts and moves: std of its entries, std of the biases, and learning-rate multiplier.

    An orthogonal matrix is scaled so that its entries have this std on average: gain = std · sqrt(max(fan_in, fan_out)).
    """

    weight_std: float
    bias_std: float = 0.0
    distribution: Distribution = "normal"
    learning_rate_multiplier: float = 1.0


Parametrization = Callable[[Tensor], Scale]
