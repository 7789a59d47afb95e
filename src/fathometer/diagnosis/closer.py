"""A closer look, where the first one leaves the verdict open."""

from dataclasses import replace
from math import isfinite

import torch

from fathometer.diagnosis.admission import run_or_explain
from fathometer.diagnosis.ahead import left_ahead, own_ahead
from fathometer.diagnosis.bred import bred
from fathometer.diagnosis.case import Case
from fathometer.diagnosis.evidence import Evidence
from fathometer.diagnosis.examine import Examination
from fathometer.diagnosis.limits import is_undecided
from fathometer.diagnosis.rules.apart import gradients_alike, shattered_gradients
from fathometer.diagnosis.rules.steps import looks_odd
from fathometer.instruments import gradient_gram, gradient_reach, in_the_open, loss_curvature, unchanged

GRAM_SAMPLES = 8
Facts = dict[str, float | None]


def look_closer(
    case: Case, found: Examination, evidence: Evidence, optimizer: torch.optim.Optimizer | None, thorough: bool
) -> Evidence:
    """Return the evidence with what a closer look adds: what is needed to decide, or all there is.

    A few steps of the user's own optimizer on a copy, where its first one looks odd; if `thorough`, whether the gradients of
    single samples can be told apart, how far neighbours share theirs, and how sharp the loss is for the optimizer's step; and
    where all that would condemn the network, a few steps of Adam. Steps are taken on a batch bred from two samples.
    """
    is_odd = optimizer is not None and (thorough or looks_odd(evidence))
    if not (thorough or is_odd or is_undecided(evidence)):
        return evidence
    young = bred(case, int(evidence.fact("classes") or 0) or None)
    with unchanged(case.model), in_the_open(case.model):
        facts = _own_steps(young, optimizer) if optimizer is not None and is_odd else {}
        if thorough and evidence.broken_by is None:
            facts |= _apart(case, found) | ({} if optimizer is None else _sharpness(case, optimizer))
        evidence = _with(evidence, facts)
        if is_undecided(evidence) or shattered_gradients(evidence) or gradients_alike(evidence):
            evidence = _with(evidence, {"ahead_left": left_ahead(young, scale=found.loss_scale, unit=_unit(evidence))})
    return evidence


def _unit(evidence: Evidence) -> float | None:
    """Return how many times the default loss the user's is, where it is that on some scale."""
    loss, default = evidence.fact("loss"), evidence.fact("cross_entropy") or evidence.fact("squared_error")
    return loss / default if loss and default and isfinite(loss / default) else None


def _with(evidence: Evidence, facts: Facts) -> Evidence:
    known = {name: value for name, value in facts.items() if value is not None}
    return replace(evidence, profile=replace(evidence.profile, facts={**evidence.profile.facts, **known}))


def _own_steps(case: Case, optimizer: torch.optim.Optimizer) -> Facts:
    own = own_ahead(case, optimizer)
    return {} if own is None else {"own_least": own.least, "own_rise": own.rise}


def _apart(case: Case, found: Examination) -> Facts:
    with torch.inference_mode(False):
        gram = gradient_gram(case.model, case.batch, num_samples=GRAM_SAMPLES, seed=case.seed) if case.num_samples > 1 else None
        reach = gradient_reach(case.model, case.inputs, found.points.points[0], seed=case.seed)
    dtype = next(case.model.parameters()).dtype
    return {
        "gram_spread": None if gram is None else gram.spread,
        "gram_floor": torch.finfo(dtype).eps ** 2,
        "gradient_reach": None if reach is None else reach.reach,
    }


def _sharpness(case: Case, optimizer: torch.optim.Optimizer) -> Facts:
    found = loss_curvature(case.model, lambda: run_or_explain(case), case.loss_of, optimizer, num_products=1, seed=case.seed)
    return {} if found is None else {"overshoot": found.overshoot, "progress": found.progress, "sharpness": found.sharpness}
