"""Which remedy trains? Short runs of each, the proof of the smallest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TypeVar

from torch import nn

from fathometer.diagnosis.admission import first_words
from fathometer.diagnosis.case import Case
from fathometer.diagnosis.fix import Attempt, is_sick
from fathometer.diagnosis.preflight import Preflight, preflight
from fathometer.diagnosis.remedies import Candidate
from fathometer.diagnosis.remedies.training import at_rate
from fathometer.diagnosis.trial import MARGIN, NUM_SEEDS, RATES, Trial, TrialData, final_loss, run_once, run_trial
from fathometer.diagnosis.words import beside_the_proved, why_proved
from fathometer.errors import FathometerError, ModelError
from fathometer.records import Asked, Record

Progress = Callable[[str, int, int], None]
Result = TypeVar("Result")
# A network that keeps only so much of the blind predictor's loss has learnt nearly all there is: no other remedy is tried.
ENOUGH = 0.15
NEAR = 0.98  # of the best remedy's drop below the blind predictor: a less invasive one that reaches it is as good
FIRST_RATES, BEYOND = (1e-3, 3e-3), 1e-2  # what each remedy is tried at first, and the rate beyond the largest usual one
FINALISTS = 3  # so many of the best are tried at the other rates


@dataclass(frozen=True)
class Runs:
    """How short runs are made: the data, what is asked of each, the rates, and who hears how far they are."""

    data: TrialData
    asked: Asked
    progress: Progress
    rates: tuple[float, ...] = RATES

    def trial(self, text: str, make: Callable[[int], nn.Module]) -> Trial:
        """Make the runs of a network as it is: every rate, then every seed at the best."""
        counter, total = count(1), (len(self.rates) + NUM_SEEDS - 1) * self.asked.steps
        self.progress(text, 0, total)
        with_steps = lambda: self.progress(text, next(counter), total)  # noqa: E731
        trial = _explained(text, lambda: run_trial(make, self.data, self.asked, rates=self.rates, on_step=with_steps))
        self.progress(text, total, total)  # a run that was stopped has fewer steps
        return trial

    def once(self, candidate: Candidate, case: Case, rate: float, seed: int = 0) -> Record:
        """Make one run of a remedy."""
        asked = replace(self.asked, **candidate.training, learning_rate=rate, seed=seed)
        text, counter, total = candidate.remedy.title, count(1), asked.steps
        self.progress(text, 0, total)
        on_step = lambda: self.progress(text, next(counter), total)  # noqa: E731
        record = _explained(text, lambda: run_once(lambda seed: candidate.apply(case, seed), self.data, asked, on_step))
        self.progress(text, total, total)
        return record


@dataclass(frozen=True)
class Tried:
    """A remedy that fits, the profile after it, and its runs so far: one seed at several rates, then the others at the best."""

    candidate: Candidate
    after: Preflight
    sweep: tuple[Record, ...] = ()
    others: tuple[Record, ...] = ()
    barred: tuple[float, ...] = ()  # rates at which another seed did not train

    @property
    def best(self) -> Record:
        """Return the run of the first seed that ended lowest, of the rates that are not barred."""
        return min((record for record in self.sweep if record.asked.learning_rate not in self.barred), key=final_loss)

    def trial(self, blind: float) -> Trial:
        """Return the runs as a trial."""
        points = tuple((record.asked.learning_rate, final_loss(record)) for record in self.sweep)
        return Trial(self.best.asked.learning_rate, blind, (self.best, *self.others), points)

    def drop(self, blind: float) -> float:
        """Return how far the middle seed ended under the blind predictor."""
        return blind - self.trial(blind).middle_loss


class Search:
    """The remedies of one network: looked at from least to most invasive, trained, and one of them proved.

    In turn: those whose profile is healthy, until one learns nearly all there is; then those whose profile is not, since a
    start is evidence and training is truth; then the best of all at the other rates. `blind` is the loss to beat.
    """

    def __init__(self, case: Case, runs: Runs, before: Trial) -> None:
        self.case, self.runs, self.before, self.blind = case, runs, before, before.blind_loss
        self.bar = before.middle_loss if before.trains else float("inf")
        self.looked = dict[int, Tried]()  # by the candidate's identity: two may have one name
        self.done = dict[int, Tried]()
        self.said = dict[int, Attempt]()
        self.proved: Tried | None = None

    def attempts(self, candidates: Sequence[Candidate]) -> list[Attempt]:
        """Return what came of each candidate, in their order; `proved` is then the one that mends, if one does."""
        with_code = [candidate for candidate in candidates if not candidate.remedy.is_advice]
        sick = list[Tried]()
        for candidate in with_code:
            looked = self._look(candidate)
            if looked is not None and is_sick(looked.after):
                sick.append(looked)
            elif looked is not None and self._learns_enough(looked):
                return self._told(candidates)
        for looked in sorted(sick, key=lambda each: each.after.verdict == "will not train"):
            if self._learns_enough(looked):
                return self._told(candidates)
        self._decide()
        return self._told(candidates)

    def _look(self, candidate: Candidate) -> Tried | None:
        """Apply a remedy and measure again."""
        try:
            model = applied(self.case, candidate)
            case = self.case
            after = preflight(model, case.batch, loss_fn=case.loss_fn, ignore=candidate.answers, seed=case.seed)
        except FathometerError as problem:
            self._fails(candidate, problem)
            return None
        looked = self.looked[id(candidate)] = Tried(candidate, after)
        return looked

    def _learns_enough(self, looked: Tried) -> bool:
        """Train at the first rates, and with every seed where that is enough; remember the runs."""
        tried = self._trained(looked, self._rates(looked.candidate)[0])
        if tried is None or final_loss(tried.best) > ENOUGH * abs(self.blind):
            return False
        return self._proves(tried) and self.drop_is_enough(self.done[id(tried.candidate)])

    def _rates(self, candidate: Candidate) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the rates that a remedy is tried at first, and those after."""
        rates = candidate.rates or self.runs.rates
        first = tuple(rate for rate in FIRST_RATES if rate in rates) or rates
        return first, tuple(rate for rate in rates if rate not in first)

    def drop_is_enough(self, tried: Tried) -> bool:
        """Return whether the middle seed has learnt nearly all there is; if not, the search goes on."""
        if self.blind - tried.drop(self.blind) <= ENOUGH * abs(self.blind):
            return True
        self.proved = None
        return False

    def _trained(self, looked: Tried, rates: Sequence[float]) -> Tried | None:
        tried = looked
        try:
            for rate in rates:
                tried = replace(tried, sweep=(*tried.sweep, self.runs.once(tried.candidate, self.case, rate)))
                if final_loss(tried.best) <= ENOUGH * abs(self.blind):
                    break
        except FathometerError as problem:
            self._fails(looked.candidate, problem)
            return None
        self.done[id(tried.candidate)] = tried
        return tried

    def _proves(self, tried: Tried) -> bool:
        """Train the other seeds at the best rate, or where one of them fails at the next best; remember what is proved.

        Every seed must train, and the middle one end no higher than that of a network that trains as it is. Where the first
        seed alone was lucky, its rate is none to give to a user.
        """
        if not tried.others:
            rate, seeds = tried.best.asked.learning_rate, range(1, NUM_SEEDS)
            tried = replace(tried, others=tuple(self.runs.once(tried.candidate, self.case, rate, seed) for seed in seeds))
        self.done[id(tried.candidate)] = tried
        trial = tried.trial(self.blind)
        self.proved = tried if trial.trains and trial.middle_loss <= self.bar else None
        barred = (*tried.barred, trial.learning_rate)
        if trial.trains or len(barred) >= len(tried.sweep):
            return self.proved is not None
        other = replace(tried, others=(), barred=barred)
        return self._proves(other) if other.drop(self.blind) > MARGIN * abs(self.blind) else False

    def _decide(self) -> None:
        """Try the best at the other rates, and prove the least invasive of those that come near the best of all."""
        for tried in sorted(self.done.values(), key=lambda each: -each.drop(self.blind))[:FINALISTS]:
            more = list(self._rates(tried.candidate)[1])
            is_largest = tried.best.asked.learning_rate == max(RATES) and len(tried.sweep) > 1
            if not tried.others:
                self._trained(tried, [*more, BEYOND] if is_largest else more)
        left = [each for each in self.done.values() if each.drop(self.blind) > MARGIN * abs(self.blind)]
        for _ in range(FINALISTS):
            if not left:
                return
            best = max(each.drop(self.blind) for each in left)
            near = [each for each in left if each.drop(self.blind) >= NEAR * best]
            chosen = min(near, key=lambda each: (each.candidate.remedy.invasiveness, is_sick(each.after)))
            if self._proves(chosen):
                return
            left.remove(chosen)

    def _fails(self, candidate: Candidate, problem: FathometerError) -> None:
        self.said[id(candidate)] = Attempt(candidate.remedy, "did not help", f"It does not fit this network: {problem}")

    def _told(self, candidates: Sequence[Candidate]) -> list[Attempt]:
        return [self._attempt(candidate) for candidate in candidates]

    def _attempt(self, candidate: Candidate) -> Attempt:
        remedy = candidate.remedy
        if remedy.is_advice:
            return Attempt(remedy, "not tried", f"Advice in words, without code. {remedy.why}")
        if id(candidate) in self.said:
            return self.said[id(candidate)]
        tried = self.done.get(id(candidate))
        if tried is None and id(candidate) in self.looked:
            after = self.looked[id(candidate)].after
            return Attempt(remedy, "did not help", f"Still {after.verdict}: {after.sentence}", after)
        if tried is None:
            return Attempt(remedy, "not tried", "The search ended before it: another remedy was proved.")
        trial = tried.trial(self.blind)
        if self.proved is not None and tried.candidate is self.proved.candidate:
            return Attempt(at_rate(remedy, trial.learning_rate), "proved", why_proved(tried.after), tried.after, trial)
        is_less = self.proved is not None and trial.trains and trial.middle_loss <= self.bar
        return Attempt(remedy, "helped less" if is_less else "did not help", self._why_not(tried, trial), tried.after, trial)

    def _why_not(self, tried: Tried, trial: Trial) -> str:
        profile = f"Still {tried.after.verdict}: {tried.after.sentence}" if is_sick(tried.after) else "Its profile is healthy."
        if not trial.trains:
            return f"{profile} It does not beat the input-blind predictor."
        if trial.middle_loss > self.bar:
            return f"{profile} It trains, but no better than the network as it is."
        if self.proved is None:
            return f"{profile} {beside_the_proved(trial.middle_loss, None)}"
        best = self.proved.trial(self.blind).middle_loss if tried.others else final_loss(self.proved.best)
        return f"{profile} {beside_the_proved(trial.middle_loss, best)}"


def applied(case: Case, candidate: Candidate) -> nn.Module:
    """Apply a remedy to a copy; whatever it raises says that it does not fit."""
    try:
        return candidate.apply(case, case.seed)
    except Exception as problem:
        given = f"Applying it raised {type(problem).__name__}: {first_words(problem)}"
        raise ModelError(given, "It expects layers that are used as torch means them", "Apply it by hand") from problem


def _explained(text: str, run: Callable[[], Result]) -> Result:
    try:
        return run()
    except FathometerError:
        raise
    except (Exception, SystemExit) as problem:
        given = f"Training {text} raised {type(problem).__name__}: {first_words(problem)}"
        raise ModelError(given, "Short training runs are the proof", "Train it by hand and mend what it says") from problem
