"""The smallest remedy that is proved: measured again, trained both ways."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import torch
from torch import nn

from fathometer.contract import LossFunction
from fathometer.diagnosis.admission import admit, first_words
from fathometer.diagnosis.case import Case
from fathometer.diagnosis.examine import examine
from fathometer.diagnosis.fix import Attempt, Fix, is_sick
from fathometer.diagnosis.own_batch import own_data
from fathometer.diagnosis.preflight import case_of, name_of, preflight, spec_of
from fathometer.diagnosis.remedies import Candidate, propose
from fathometer.diagnosis.trial import NUM_SEEDS, RATES, Trial, TrialData, run_trial, trial_data
from fathometer.errors import BatchError, FathometerError, ModelError, kind_of
from fathometer.instruments import unchanged
from fathometer.records import Asked
from fathometer.spec import Spec
from fathometer.training import OPTIMIZERS

STEPS = 150
Progress = Callable[[str, int, int], None]


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

    Remedies are tried from least to most invasive on copies. One is kept if the profile after it is healthy *and* the
    network then trains: at the best of three learning rates every one of three seeds ends below the best input-blind
    predictor on held-out batches. `data` is an iterable of batches; without it a fifth of `batch` is held out. `asked`
    changes the length and kind of the short runs. With the `optimizer` that you train with, its first step is judged too, and
    the short runs use its rate alone, until another rate is what mends it. `progress(text, done, total)` is called after each
    step of each short run.

    Raises `FathometerError` for input that cannot be examined, or without targets to train on.
    """
    case = case_of(model, batch, loss_fn=loss_fn, seed=seed)
    admit(case)
    if data is not None and not isinstance(data, Iterable):
        raise BatchError(
            f"`data` is {kind_of(data)}", "It must be an iterable of batches", "Pass a DataLoader, or a list of pairs"
        )
    if data is None and batch is None:
        data = None if (spec := spec_of(model)) is None else own_data(spec, seed)
    _check_copies(case.model)
    asked, rates = _like(optimizer, asked or Asked(steps=STEPS))
    settings = _Settings(trial_data(case.batch, data, loss_fn), asked, progress or _silent, rates)
    with unchanged(case.model):
        return _mend(case, settings, optimizer).named(name_of(model))


def _like(optimizer: torch.optim.Optimizer | None, asked: Asked) -> tuple[Asked, tuple[float, ...]]:
    """Return what is asked of the short runs, and their rates: those of an optimizer, where one is given."""
    if optimizer is None:
        return asked, RATES
    name, group = type(optimizer).__name__.lower(), optimizer.param_groups[0]
    if name in OPTIMIZERS:
        asked = replace(asked, optimizer=name, momentum=float(group.get("momentum", 0.0)))
    return asked, (float(group["lr"]),)


def _mend(case: Case, settings: "_Settings", optimizer: torch.optim.Optimizer | None) -> Fix:
    before = preflight(case.model, case.batch, loss_fn=case.loss_fn, optimizer=optimizer, seed=case.seed)
    trial = settings.run("the network as it is", lambda _: deepcopy(case.model), settings.asked)
    if not is_sick(before) and trial.trains:
        return Fix(before, trial, (), deepcopy(case.model))
    tried: list[Attempt] = []
    mended = None
    for candidate in propose(case, examine(case, optimizer=optimizer)):
        if candidate.remedy.is_advice:
            tried.append(Attempt(candidate.remedy, "not tried", f"Advice in words, without code. {candidate.remedy.why}"))
            continue
        if mended is not None:
            tried.append(Attempt(candidate.remedy, "not tried", "A less invasive remedy was proved to work."))
            continue
        tried.append(_attempt(case, candidate, settings, trial))
        mended = candidate.apply(case, case.seed) if tried[-1].outcome == "proved" else None
    return Fix(before, trial, tuple(tried), deepcopy(case.model) if mended is None else mended)


@dataclass(frozen=True)
class _Settings:
    data: TrialData
    asked: Asked
    progress: Progress
    rates: tuple[float, ...] = RATES

    def run(self, text: str, make: Callable[[int], nn.Module], asked: Asked, rates: tuple[float, ...] | None = None) -> Trial:
        """Make the short runs of one network, and tell how far they are."""
        counter, rates = count(1), rates or self.rates
        total = (len(rates) + NUM_SEEDS - 1) * asked.steps
        self.progress(text, 0, total)
        try:
            trial = run_trial(make, self.data, asked, rates=rates, on_step=lambda: self.progress(text, next(counter), total))
            self.progress(text, total, total)  # a run that was stopped has fewer steps
            return trial
        except FathometerError:
            raise
        except (Exception, SystemExit) as problem:
            given = f"Training {text} raised {type(problem).__name__}: {first_words(problem)}"
            raise ModelError(given, "Short training runs are the proof", "Train it by hand and mend what it says") from problem


def _attempt(case: Case, candidate: Candidate, settings: _Settings, before: Trial) -> Attempt:
    """Apply one remedy to a copy, measure again, and if the profile is healthy train it."""
    remedy = candidate.remedy
    asked = replace(settings.asked, **candidate.training)
    try:
        after = preflight(_apply(case, candidate), case.batch, loss_fn=case.loss_fn, ignore=candidate.answers, seed=case.seed)
        if is_sick(after):
            return Attempt(remedy, "did not help", f"Still {after.verdict}: {after.sentence}", after)
        trial = settings.run(remedy.title, lambda seed: candidate.apply(case, seed), asked, candidate.rates)
    except FathometerError as problem:
        return Attempt(remedy, "did not help", f"It does not fit this network: {problem}")
    if not trial.trains:
        return Attempt(
            remedy, "did not help", "Its profile is healthy, but it does not beat the input-blind predictor.", after, trial
        )
    if before.trains and trial.middle_loss > before.middle_loss:
        return Attempt(remedy, "did not help", "It trains, but no better than the network as it is.", after, trial)
    return Attempt(remedy, "proved", "Its profile is healthy, and every seed trains.", after, trial)


def _apply(case: Case, candidate: Candidate) -> nn.Module:
    """Apply a remedy to a copy; whatever it raises says that it does not fit."""
    try:
        return candidate.apply(case, case.seed)
    except Exception as problem:
        given = f"Applying it raised {type(problem).__name__}: {first_words(problem)}"
        raise ModelError(given, "It expects layers that are used as torch means them", "Apply it by hand") from problem


def _check_copies(model: nn.Module) -> None:
    try:
        deepcopy(model)
    except Exception as problem:
        raise ModelError(
            f"The model cannot be copied: {type(problem).__name__}: {first_words(problem)}",
            "Remedies are tried on copies",
            "Keep only parameters, buffers and plain values in the module (no tensors with a graph, locks or open files)",
        ) from problem


def _silent(text: str, done: int, total: int) -> None:
    """Say nothing."""
