"""A few real steps on a copy: what the first moment cannot show."""

from copy import deepcopy
from dataclasses import dataclass, replace
from math import inf, isfinite

import torch
from torch import nn

from fathometer.diagnosis.admission import run_or_explain
from fathometer.diagnosis.case import Case
from fathometer.diagnosis.trial import TrialData, blind_loss
from fathometer.instruments import seed_generators

RATES, STEPS = (1e-3, 3e-3), 8  # of one rate or two, of 2 to 20 steps, these tell most: JOURNAL.md, "Which steps ahead"
OWN_STEPS = 16


@dataclass(frozen=True)
class Ahead:
    """The losses of a few steps on one batch, the first before any step; they end where one is not finite."""

    losses: tuple[float, ...]
    blind_loss: float | None = None
    steps: int = STEPS

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
        if len(self.losses) <= self.steps:
            return inf
        return self.losses[-1] / self.losses[0] if self.losses[0] > 0 else 1.0


def left_ahead(case: Case, *, scale: float = 1.0, unit: float | None = None) -> float | None:
    """Return what is left of the best constant answer's loss after `STEPS` steps of Adam, at the better of two rates.

    The loss is multiplied by `scale`, so that no unit of it matters; it is `unit` times the default one, where that is known.
    A rate that is too large for a deep plain network says nothing of a smaller one. None for a model that cannot be copied,
    or where no constant answer is known.
    """
    blind = _blind_loss(case, unit)
    if blind is None:
        return None
    runs = [_ahead(case, None, STEPS, scale, rate) for rate in RATES]
    known = [left for losses in runs if losses is not None and (left := Ahead(losses, blind).left) is not None]
    return min(known, default=None)


def own_ahead(case: Case, optimizer: torch.optim.Optimizer) -> Ahead | None:
    """Take `OWN_STEPS` steps of a copy of the user's own optimizer, on the loss as it is; None where it cannot be copied."""
    losses = _ahead(case, optimizer, OWN_STEPS)
    return None if losses is None else Ahead(losses, steps=OWN_STEPS)


def _ahead(
    case: Case, optimizer: torch.optim.Optimizer | None, steps: int, scale: float = 1.0, rate: float = RATES[0]
) -> tuple[float, ...] | None:
    try:
        twin, stepper = deepcopy((case.model, optimizer))
        stepper = torch.optim.Adam(_trainable(twin), lr=rate, fused=True) if stepper is None else stepper
        with torch.inference_mode(False), torch.enable_grad():
            return _take_steps(replace(case, model=twin.train()), stepper, steps, scale)
    except Exception:  # whatever it is that cannot be copied or stepped: then nothing is known about it
        return None


def _take_steps(case: Case, stepper: torch.optim.Optimizer, steps: int, factor: float) -> tuple[float, ...]:
    losses = list[float]()
    for _ in range(steps + 1):
        seed_generators(case.seed)
        loss = case.loss_of(run_or_explain(case))
        if not isfinite(value := float(loss.detach())):
            break
        losses.append(value)
        if len(losses) <= steps:
            stepper.zero_grad()
            (loss * factor).backward()
            stepper.step()
    return tuple(losses)


def _trainable(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _blind_loss(case: Case, unit: float | None) -> float | None:
    """Return the loss of the best constant answer on this batch; None where there is no such thing."""
    own = case.loss_fn if unit is None else None
    try:
        return blind_loss(case.model, TrialData((), (case.batch,), own)) * (1.0 if unit is None else unit)
    except Exception:  # no targets, or all the same; or a model that takes no batch of this size
        return None
