"""The smallest remedy that is proved: measured again, trained both ways."""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from torch import nn

from fathometer import json_text
from fathometer.contract import LossFunction
from fathometer.diagnosis.admission import admit, first_words
from fathometer.diagnosis.case import Case
from fathometer.diagnosis.examine import examine
from fathometer.diagnosis.own_batch import own_data
from fathometer.diagnosis.preflight import GARBLED, Preflight, case_of, name_of, preflight, spec_of
from fathometer.diagnosis.remedies import Candidate, propose
from fathometer.diagnosis.trial import NUM_RUNS, Trial, TrialData, run_trial, trial_data
from fathometer.errors import BatchError, FathometerError, ModelError, RecordError, kind_of
from fathometer.finding import Outcome, Remedy
from fathometer.instruments import unchanged
from fathometer.records import Asked, check_schema, read_json
from fathometer.spec import Spec

SCHEMA = "fathometer.mend/1"
STEPS = 150
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Attempt:
    """One remedy and what came of it: the profile after it, the short runs (None if the profile was still sick)."""

    remedy: Remedy
    outcome: Outcome
    why: str
    after: Preflight | None = None
    trial: Trial | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dictionary, as `from_dict` reads it."""
        parts = {"after": self.after, "trial": self.trial}
        written = {name: None if part is None else part.to_dict() for name, part in parts.items()}
        return {"remedy": self.remedy.to_dict(), "outcome": self.outcome, "why": self.why, **written}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "Attempt":
        """Return the attempt that `to_dict` wrote."""
        after = None if table["after"] is None else Preflight.from_dict(table["after"])
        trial = None if table["trial"] is None else Trial.from_dict(table["trial"])
        return cls(Remedy.from_dict(table["remedy"]), table["outcome"], table["why"], after, trial)


@dataclass(frozen=True, repr=False)
class Fix:
    """What mends a network, and the proof: profiles and short training runs before and after.

    `model` is a mended copy, not trained yet (the given one, copied, if nothing had to or could be mended; None when read
    from JSON). `proved` is the attempt that worked, or None; `tried` are all attempts in the order of their invasiveness.
    """

    before: Preflight
    trial_before: Trial
    tried: tuple[Attempt, ...]
    model: nn.Module | None = None

    @property
    def proved(self) -> Attempt | None:
        """Return the attempt that was proved to work, or None."""
        return next((attempt for attempt in self.tried if attempt.outcome == "proved"), None)

    @property
    def code(self) -> str:
        """Return the proved remedy as Python to paste, or an empty text."""
        return self.proved.remedy.code if self.proved is not None else ""

    @property
    def needed(self) -> bool:
        """Return whether there was anything to mend: the network did not train, or a remedy was proved to do better."""
        return not self.trial_before.trains or self.proved is not None

    def __repr__(self) -> str:
        return f"Fix({self.evidence!r})"

    @property
    def evidence(self) -> str:
        """Return the proof in one sentence."""
        from fathometer.diagnosis.words import evidence_sentence

        return evidence_sentence(self)

    def __str__(self) -> str:
        from fathometer.diagnosis.words import fix_text

        return fix_text(self)

    def to_json(self) -> str:
        """Return strict JSON with its schema, as `from_json` reads it."""
        table = {"schema": SCHEMA, "before": self.before.to_dict(), "trial_before": self.trial_before.to_dict()}
        return json_text.dump({**table, "tried": [attempt.to_dict() for attempt in self.tried]})

    @classmethod
    def from_json(cls, text: str) -> "Fix":
        """Return the fix that `to_json` wrote, without the model; raise `RecordError` for anything else."""
        table = read_json(text)
        check_schema(table, SCHEMA)
        try:
            tried = tuple(Attempt.from_dict(attempt) for attempt in table["tried"])
            return cls(Preflight.from_dict(table["before"]), Trial.from_dict(table["trial_before"]), tried)
        except GARBLED as problem:
            raise RecordError(f"The result lacks or garbles {problem}", "All parts must be there", "Write it anew") from None

    def save_html(self, path: str | Path) -> Path:
        """Write the report, one file that opens offline, and return its path."""
        from fathometer.diagnosis.pages import fix_page
        from fathometer.report import save

        return save(fix_page(self), path)


def mend(
    model: nn.Module | Spec | str,
    batch: Any = None,
    *,
    data: Iterable[Any] | None = None,
    loss_fn: LossFunction | None = None,
    asked: Asked | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    name: str | None = None,
) -> Fix:
    """Find the smallest remedy that is proved to work, and return the mended copy, the code and the evidence.

    Remedies are tried from least to most invasive on copies. One is kept if the profile after it is healthy *and* the
    network then trains: at the best of three learning rates every one of three seeds ends below the best input-blind
    predictor on held-out batches. `data` is an iterable of batches; without it a fifth of `batch` is held out. `asked`
    changes the length and kind of the short runs, `name` what the network is called; `progress(text, done, total)` is
    called after each step of each short run.

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
    settings = _Settings(trial_data(case.batch, data, loss_fn), asked or Asked(steps=STEPS), progress or _silent)
    with unchanged(case.model):
        return _mend(case, settings, name or name_of(model))


def _mend(case: Case, settings: "_Settings", name: str) -> Fix:
    before = preflight(case.model, case.batch, loss_fn=case.loss_fn, seed=case.seed, name=name)
    trial = settings.run("the network as it is", lambda _: deepcopy(case.model), settings.asked)
    if not is_sick(before) and trial.trains:
        return Fix(before, trial, (), deepcopy(case.model))
    tried: list[Attempt] = []
    mended = None
    for candidate in propose(case, examine(case)):
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

    def run(self, text: str, make: Callable[[int], nn.Module], asked: Asked) -> Trial:
        """Make the short runs of one network, and tell how far they are."""
        counter = count(1)
        total = NUM_RUNS * asked.steps
        self.progress(text, 0, total)
        try:
            trial = run_trial(make, self.data, asked, on_step=lambda: self.progress(text, next(counter), total))
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
        trial = settings.run(remedy.title, lambda seed: candidate.apply(case, seed), asked)
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


def is_sick(check: Preflight) -> bool:
    """Return whether something was found that should be mended; "unknown" is not known to be wrong."""
    return check.verdict in ("will not train", "at risk")


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
