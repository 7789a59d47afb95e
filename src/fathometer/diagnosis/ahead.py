"""A few real steps on a copy: what the first moment cannot show."""

from copy import deepcopy
from dataclasses import dataclass, replace
from math import inf, isfinite

import torch
from torch import nn

from fathometer.diagnosis.admission import run_or_explain
from fathometer.diagnosis.case import Case
from fathometer.diagnosis.trial import TrialData, blind_loss
from fathometer.errors import FathometerError
from fathometer.instruments import seed_generators

STEPS, RATE = 16, 3e-3  # of 8, 12 and 16 steps at 1e-3 and 3e-3, these tell most: JOURNAL.md, "What sixteen steps show"


@dataclass(frozen=True)
class Ahead:
    """The losses of a few steps on one batch, the first before any step; they end where one is not finite."""

    losses: tuple[float, ...]
    blind_loss: float | None = None

    @property
    def left(self) -> float | None:
        """Return the lowest later loss over that of the best constant answer (1: nothing learnt); None without one."""
        if self.blind_loss is None or self.blind_loss <= 0 or len(self.losses) < 2:
            return None
        return min(self.losses[1:]) / self.blind_loss

    @property
    def least(self) -> float:
        """Return the lowest later loss over the first; 1 where there is none, or the first is 0."""
        return min(self.losses[1:]) / self.losses[0] if len(self.losses) > 1 and self.losses[0] > 0 else 1.0

    @property
    def rise(self) -> float:
        """Return the last loss over the first; infinite where it stopped being finite."""
        if len(self.losses) <= STEPS:
            return inf
        return self.losses[-1] / self.losses[0] if self.losses[0] > 0 else 1.0


def step_ahead(case: Case, *, scale: float = 1.0, optimizer: torch.optim.Optimizer | None = None) -> Ahead | None:
    """Take `STEPS` steps on a copy of the model, on the case's own batch, and return the losses.

    The steps are Adam's at `RATE` on the loss times `scale`, so that no unit of the loss matters; or those of (a copy of) the
    user's own optimizer, on the loss as it is. None for a model that cannot be copied, or an optimizer that needs more than
    a gradient.
    """
    try:
        twin, stepper = deepcopy((case.model, optimizer))
        stepper = torch.optim.Adam(_trainable(twin), lr=RATE) if stepper is None else stepper
        with torch.inference_mode(False), torch.enable_grad():
            losses = _take_steps(replace(case, model=twin.train()), stepper, scale if optimizer is None else 1.0)
    except Exception:  # whatever it is that cannot be copied or stepped: then nothing is known about it
        return None
    return Ahead(tuple(losses), _blind_loss(case))


def _take_steps(case: Case, stepper: torch.optim.Optimizer, factor: float) -> list[float]:
    losses = list[float]()
    for _ in range(STEPS + 1):
        seed_generators(case.seed)
        loss = case.loss_of(run_or_explain(case))
        if not isfinite(value := float(loss.detach())):
            break
        losses.append(value)
        if len(losses) <= STEPS:
            stepper.zero_grad()
            (loss * factor).backward()
            stepper.step()
    return losses


def _trainable(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _blind_loss(case: Case) -> float | None:
    """Return the loss of the best constant answer on this batch; None where there is no such thing."""
    try:
        return blind_loss(case.model, TrialData((), (case.batch,), case.loss_fn))
    except FathometerError:  # no targets, or all the same
        return None
