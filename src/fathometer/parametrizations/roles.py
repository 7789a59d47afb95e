"""A tensor's role and sizes, and the scale that it is given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Role = Literal["input", "embedding", "query_key", "hidden", "branch_last", "output", "bias", "norm_gain", "final_norm"]
Distribution = Literal["normal", "uniform", "orthogonal"]
VECTOR_ROLES: tuple[Role, ...] = ("bias", "norm_gain", "final_norm")
BLOCK_ROLES: tuple[Role, ...] = ("query_key", "hidden", "branch_last")  # the matrices between the stem and the readout


@dataclass(frozen=True)
class Tensor:
    """What a parametrization may know of a tensor: its role, its sizes, and where it stands in width and depth.

    Matrices: "input" (stem), "embedding" (one row is read, so its fan_in is 1), "query_key" (queries and keys), "hidden"
    (any other inside a block), "branch_last" (the last of a residual branch), "output" (readout). Vectors: "bias" and
    "norm_gain" inside blocks, "final_norm" before the readout; a bias of the stem or readout goes with its matrix.
    `depth` counts residual branches (a transformer block has two; without a stream, blocks), `branch_layers` the matrices in
    one. `activation_gain` is the classic gain of the activation in front (1 when there is none). `width_ratio` and
    `depth_ratio` are the network's width and depth over those of its base. `base_std` is the std of the standard
    parametrization at the base width (None: He's).
    """

    role: Role
    fan_in: int
    fan_out: int
    depth: int = 1
    branch_layers: int = 1
    activation_gain: float = 1.0
    width_ratio: float = 1.0
    depth_ratio: float = 1.0
    base_std: float | None = None


@dataclass(frozen=True)
class Scale:
    """How a tensor starts, counts and moves: std of its entries and biases, and multipliers of what the optimizer is given.

    `multiplier` is what the forward pass multiplies the matrix's output with. The others multiply the optimizer's learning
    rate, weight decay and Adam's ε (those of a run are for the base network). A vector starts at its constant: std 0.
    An orthogonal matrix is scaled so that its entries have this std on average: gain = std · sqrt(max(fan_in, fan_out)).
    """

    weight_std: float
    bias_std: float = 0.0
    distribution: Distribution = "normal"
    learning_rate_multiplier: float = 1.0
    multiplier: float = 1.0
    weight_decay_multiplier: float = 1.0
    epsilon_multiplier: float = 1.0


Parametrization = Callable[[Tensor], Scale]
