"""Ways to treat a sick network: ours, and those that ask for no diagnosis."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import torch
from torch import nn

from benchmarks.zoo.entry import Entry
from benchmarks.zoo.tasks import Task, task
from benchmarks.zoo.truth import CLEARLY, TRAINS, UNDECIDED, sweep
from fathometer.contract import take_samples
from fathometer.diagnosis import mend
from fathometer.diagnosis.case import Case, make_case
from fathometer.diagnosis.examine import examine
from fathometer.diagnosis.remedies import Candidate, propose
from fathometer.diagnosis.remedies.branches import add_residual
from fathometer.diagnosis.remedies.weights import initialise, initialise_by_measurement

HE = 2**0.5
MOST_BATCHES = 60  # of the training set, each sample in one batch at most; `mend` holds a fifth of them out


@dataclass(frozen=True)
class Treated:
    """What a way made of a network: the model, or None for the network as it was, and how it is to be trained.

    `clip` and `warmup` are what the remedy asks of the training; `new_rate` means that the rate may be chosen anew. `tried`
    are the remedies that were tried, with what came of them; `advice` those in words.
    """

    model: nn.Module | None
    remedy: str = "none"
    invasiveness: int = 0
    clip: float | None = None
    warmup: int = 0
    new_rate: bool = False
    tried: Mapping[str, str] | None = None
    advice: tuple[str, ...] = ()
    said: str = ""


def mended(entry: Entry) -> Treated:
    """Ask `mend`, with batches that it may train on and hold out as a user's loader would give them."""
    work, model = task(entry.task), entry.model()
    optimizer = entry.optimizer(model) if entry.optimizer else None
    batch = work.preflight_batch()
    fix = mend(model, batch, data=loader(work), loss_fn=entry.loss_fn, optimizer=optimizer)
    tried = {attempt.remedy.name: attempt.outcome for attempt in fix.tried if not attempt.remedy.is_advice}
    advice = tuple(attempt.remedy.name for attempt in fix.tried if attempt.remedy.is_advice)
    if fix.proved is None:
        return Treated(None, tried=tried, advice=advice, said=fix.evidence)
    remedy, proof = fix.proved.remedy, fix.proved.trial
    asked = proof.records[0].asked if proof is not None else None
    training = {"clip": asked.clip, "warmup": asked.warmup} if asked is not None else {}
    treated = Treated(fix.model, remedy.name, remedy.invasiveness, **training, tried=tried, advice=advice, said=fix.evidence)
    return replace(treated, new_rate=remedy.name in ("change_rate", "clip"))


def loader(work: Task, most: int = MOST_BATCHES) -> list[Any]:
    """Return the training set in shuffled batches, each sample once."""
    count = min(len(work.targets) // work.batch_size, most)
    order = torch.randperm(len(work.targets), generator=torch.Generator().manual_seed(0))
    whole = work.preflight_batch(len(work.targets))
    return [take_samples(whole, order[k * work.batch_size : (k + 1) * work.batch_size]) for k in range(count)]


def random_remedy(entry: Entry) -> Treated:
    """Apply one of all the remedies with code that fit, drawn by the network's seed, whatever the diagnosis."""
    case = case_of(entry)
    optimizer = entry.optimizer(case.model) if entry.optimizer else None
    fitting = [each for each in propose(case, examine(case, optimizer=optimizer)) if not each.remedy.is_advice]
    by_name = sorted(fitting, key=lambda each: each.remedy.name)  # the draw does not depend on the order of the catalogue
    return _applied(case, Random(entry.seed).choice(by_name))


def he_everywhere(entry: Entry) -> Treated:
    """Draw every matrix anew with He's standard deviation."""
    return Treated(initialise(entry.model(), HE), "initialise", 1)


def unit_variance(entry: Entry) -> Treated:
    """Scale every layer until its outputs have variance 1 on the batch (Mishkin & Matas 2016)."""
    case = case_of(entry)
    return Treated(initialise_by_measurement(case.model, lambda model: model_call(model, case)), "initialise_by_measurement", 1)


def residual(entry: Entry) -> Treated:
    """Wrap the blocks in residual connections where they have none and keep their shape; else leave the network."""
    case = case_of(entry)
    candidate = add_residual(case, examine(case))
    return Treated(None) if candidate is None else _applied(case, candidate)


def model_call(model: nn.Module, case: Case) -> object:
    """Call a model on the inputs of a case."""
    from fathometer.contract import call

    return call(model, case.inputs)


def case_of(entry: Entry) -> Case:
    """Return the network with the batch that is looked at."""
    return make_case(entry.model(), task(entry.task).preflight_batch(), entry.loss_fn)


def _applied(case: Case, candidate: Candidate) -> Treated:
    remedy, asked = candidate.remedy, candidate.training
    treated = Treated(
        candidate.apply(case, case.seed), remedy.name, remedy.invasiveness, asked.get("clip"), asked.get("warmup", 0)
    )
    return replace(treated, new_rate=remedy.name in ("change_rate", "clip"))


WAYS: dict[str, Callable[[Entry], Treated]] = {
    "mend": mended,
    "random remedy": random_remedy,
    "He everywhere": he_everywhere,
    "unit variance": unit_variance,
    "a residual": residual,
}


class Careful(torch.optim.Adam):
    """Adam that clips the gradient and warms up, as the remedy says."""

    def __init__(self, model: nn.Module, rate: float, clip: float | None, warmup: int) -> None:
        super().__init__(model.parameters(), lr=rate)
        self.rate, self.clip, self.warmup, self.taken = rate, clip, warmup, 0

    def step(self, closure: Any = None) -> Any:
        """Take one step, clipped, at the rate of its turn."""
        self.taken += 1
        for group in self.param_groups:
            group["lr"] = self.rate * min(1.0, self.taken / max(self.warmup, 1))
            if self.clip is not None:
                nn.utils.clip_grad_norm_(group["params"], self.clip)
        return super().step(closure)


def share_after(entry: Entry, treated: Treated, drop: float) -> float:
    """Return the best share of the twin's drop that the treated network reaches in the sweep that truth is made by."""
    model = treated.model
    changed = entry if model is None else replace(entry, maker=lambda seed: deepcopy(model))
    if treated.clip is None and not treated.warmup:
        changed = replace(changed, optimizer=None) if treated.new_rate else changed
        return max(sweep(changed, drop).values())
    work, shares = task(entry.task), list[float]()
    for rates in (work.rates, work.more_rates):
        for rate in rates:
            asks = replace(changed, optimizer=lambda model, rate=rate: Careful(model, rate, treated.clip, treated.warmup))
            shares += sweep(asks, drop).values()
            if shares[-1] >= CLEARLY:
                return shares[-1]
        if not UNDECIDED <= max(shares) < TRAINS:
            break
    return max(shares)
