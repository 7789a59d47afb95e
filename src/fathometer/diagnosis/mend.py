"""The smallest remedy that is proved: measured again, trained both ways."""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from fathometer.contract import LossFunction
from fathometer.diagnosis.admission import admit, copy_or_explain
from fathometer.diagnosis.case import Case
from fathometer.diagnosis.examine import examine
from fathometer.diagnosis.fix import Fix, is_sick
from fathometer.diagnosis.own_batch import own_data
from fathometer.diagnosis.preflight import case_of, check_optimizer, name_of, preflight, spec_of
from fathometer.diagnosis.remedies import propose
from fathometer.diagnosis.room import one_step, within_memory
from fathometer.diagnosis.search import Progress, Runs, Search, applied
from fathometer.diagnosis.trial import RATES, trial_data
from fathometer.errors import BatchError, kind_of
from fathometer.instruments import unchanged
from fathometer.records import Asked
from fathometer.spec import Spec
from fathometer.spec.checks import check_seed
from fathometer.training import OPTIMIZERS

STEPS = 150


def mend(
    model: nn.Module | Spec | str,
    batch: Any = None,
    *,
    data: Iterable[Any] | None = None,
    loss_fn: LossFunction | None = None,
    asked: Asked | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Fix:
    """Find the smallest remedy that is proved to work, and return the mended copy, the code and the evidence.

    Remedies are tried from least to most invasive on copies, those whose profile is healthy first. One is kept if the network
    then trains: at the best learning rate every one of three seeds ends below the best input-blind predictor on held-out
    batches, and no worse than without it. The search ends at the first that keeps less than 15% of that predictor's loss;
    where none does, all are trained, and the least invasive of those within 2% of the best is kept. A healthy network that
    trains is left as it is.

    `data` is an iterable of batches; without it a fifth of `batch` is held out. `asked` changes the length and kind of the
    short runs. With the `optimizer` that you train with, its first step is judged too, and the short runs use its rate alone,
    until another rate is what mends it. `progress(text, done, total)` is called after each step of each short run.

    Raises `FathometerError` for input that cannot be examined, or without targets to train on.

    >>> fix = mend("mlp-5@depth=2", asked=Asked(steps=20))
    >>> fix.needed, fix.trial_before.trains
    (False, True)
    """
    check_seed(seed)
    case = case_of(model, batch, loss_fn=loss_fn, seed=seed)
    if optimizer is not None:
        check_optimizer(optimizer, case.model)
    admit(case)
    if data is not None and not isinstance(data, Iterable):
        raise BatchError(
            f"`data` is {kind_of(data)}", "It must be an iterable of batches", "Pass a DataLoader, or a list of pairs"
        )
    if data is None and batch is None:
        data = None if (spec := spec_of(model)) is None else own_data(spec, seed)
    copy_or_explain(case.model, "Remedies are tried on copies")
    asked, rates = _like(optimizer, asked or Asked(steps=STEPS))
    runs = Runs(trial_data(case.batch, data, loss_fn), asked, progress or _silent, rates)
    with within_memory(case, one_step), unchanged(case.model):
        return _mend(case, runs, optimizer).named(name_of(model))


def _like(optimizer: torch.optim.Optimizer | None, asked: Asked) -> tuple[Asked, tuple[float, ...]]:
    """Return what is asked of the short runs, and their rates: those of an optimizer, where one is given."""
    if optimizer is None:
        return asked, RATES
    name, group = type(optimizer).__name__.lower(), optimizer.param_groups[0]
    if name in OPTIMIZERS:
        asked = replace(asked, optimizer=name, momentum=float(group.get("momentum", 0.0)))
    return asked, (float(group["lr"]),)


def _mend(case: Case, runs: Runs, optimizer: torch.optim.Optimizer | None) -> Fix:
    before = preflight(case.model, case.batch, loss_fn=case.loss_fn, optimizer=optimizer, seed=case.seed)
    trial = runs.trial("the network as it is", lambda _: deepcopy(case.model))
    if not is_sick(before) and trial.trains:
        return Fix(before, trial, (), deepcopy(case.model))
    search = Search(case, runs, trial)
    tried = tuple(search.attempts(propose(case, examine(case, optimizer=optimizer))))
    model = deepcopy(case.model) if search.proved is None else applied(case, search.proved.candidate)
    return Fix(before, trial, tried, model)


def _silent(text: str, done: int, total: int) -> None:
    """Say nothing."""
