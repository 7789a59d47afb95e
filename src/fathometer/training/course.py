"""A run on its way: the model and all that its next step depends on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from fathometer.parametrizations import Scale
from fathometer.records import Asked
from fathometer.training.batch import device_of
from fathometer.training.optimizers import make_optimizer
from fathometer.training.precision import make_scaler


@dataclass(eq=False)
class Course:
    """What the steps of a run move: a checkpoint holds all of it, with the place in the data and the generators.

    `losses` are those of the steps done. `gradient_norm` is that of the last step before clipping, None where it was not
    asked for; `seconds` the time of all steps, also of those before a resumption.
    """

    model: nn.Module
    asked: Asked
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None = None
    losses: list[float] = field(default_factory=list)
    gradient_norm: float | None = None
    seconds: float = 0.0

    @property
    def step(self) -> int:
        """Return how many steps are done."""
        return len(self.losses)

    @property
    def rate(self) -> float:
        """Return the learning rate of the last step, in the first group of parameters."""
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Return the parameters that are trained."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]


def begin(model: nn.Module, asked: Asked, scales: Mapping[str, Scale] | None = None) -> Course:
    """Return the course of a run before its first step; `scales` are a parametrization's multipliers, see `make_optimizer`."""
    return Course(model, asked, make_optimizer(model, asked, scales), make_scaler(asked.precision, device_of(model)))
