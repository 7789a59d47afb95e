"""Remedies that leave the network as it is and train it otherwise."""

import inspect
from copy import deepcopy
from dataclasses import replace

from fathometer.diagnosis.case import Case
from fathometer.diagnosis.examine import Examination
from fathometer.diagnosis.remedies import wiring
from fathometer.diagnosis.remedies.candidate import Candidate, call_on_copy
from fathometer.diagnosis.trial import RATES
from fathometer.finding import Remedy


def clip(case: Case, examination: Examination) -> Candidate:
    why = "Clipping bounds each step, and the warm-up keeps the first ones small."
    code = inspect.cleandoc(CLIPPING) + "\nmodel = model  # the network itself stays as it is\n"
    remedy = Remedy("clip", "Clip the gradient and warm up", why, 3, code, ("pascanu2013",))
    return Candidate(
        remedy, lambda case, seed: deepcopy(case.model), {"clip": 1.0, "warmup": 50}, None, ("exploding_gradient", "update_size")
    )


CLIPPING = """
from torch import nn
from torch.optim.lr_scheduler import LambdaLR


def warm_up(optimizer, steps=50):
    return LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / steps))


def clipped_step(model, optimizer, scheduler, limit=1.0):  # call after loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), limit)
    optimizer.step()
    scheduler.step()


"""


def change_rate(case: Case, examination: Examination) -> Candidate | None:
    """Sweep the usual rates, where the rate that the user trains with is known and was not one of them."""
    if not examination.profile.known("update"):
        return None
    why = "One step should move the weights by about a thousandth of their size."
    code = inspect.cleandoc(RATE_CODE) + "\nmodel = model  # the network itself stays as it is\n"
    remedy = Remedy("change_rate", "Another learning rate", why, 3, code, ("karpathy2019",))
    return Candidate(remedy, lambda case, seed: deepcopy(case.model), {}, RATES, ("update_size", "curvature"))


RATE_CODE = """
import torch

optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)  # of 3e-4, 1e-3 and 3e-3 the best in the short runs


"""


def at_rate(remedy: Remedy, rate: float) -> Remedy:
    """Return the remedy with the rate that its runs took in its code, where the rate is what it changes."""
    code = remedy.code.replace("lr=1e-3)", f"lr={rate:g})") if remedy.name == "change_rate" else remedy.code
    return replace(remedy, code=code)


def unfreeze(case: Case, examination: Examination) -> Candidate | None:
    """Let frozen parameters move, where there are any."""
    if not examination.profile.facts.get("frozen_parameters"):
        return None
    why = "What is frozen cannot learn, and what follows it can only make the best of it."
    return call_on_copy(case, "unfreeze", "Let all parameters move", why, 3, (wiring.unfreeze,), {}, ())
