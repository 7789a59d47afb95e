"""The story: fifty layers that cannot learn, the cause, fix and proof."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

import torch
from torch import nn

from fathometer.data import Digits, digits
from fathometer.diagnosis import Attempt, Fix, Preflight, mend, preflight
from fathometer.lenses import Probes, probe
from fathometer.records import Asked, Record
from fathometer.runs import Trained, train
from fathometer.spec.checks import check_seed

DEPTH, WIDTH, BATCH_SIZE = 50, 64, 64
LONG_RUN = 1000  # steps: about 45 times through the training digits
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Story:
    """Everything that the report tells: each part measured in this run, none typed in.

    `fix` holds the preflights and the short runs before and after; `long_before` and `long_after` are the records of the
    same long run without and with the remedy; the probes say what each layer of these two trained networks knows.
    """

    check: Preflight
    fix: Fix
    long_before: Record
    long_after: Record
    probes_before: Probes
    probes_after: Probes

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the story in a few sentences."""
        return (
            f"1. Preflight: {self.check.verdict}. {self.check.sentence}",
            f"2. It is so: after {LONG_RUN:,} steps {_percent(self.long_before)} of the test digits are right; guessing gives "
            f"{self.probes_before.chance:.0%}.",
            *(f"   tried: [{attempt.outcome}] {attempt.remedy.title}. {attempt.why}" for attempt in _tried(self.fix)),
            f"3. {self.fix.evidence}",
            f"4. Trained for {LONG_RUN:,} steps, the mended network gets {_percent(self.long_after)} of the test digits right.",
        )


def fifty_layers(seed: int = 0) -> nn.Sequential:
    """Return a plain stack of 50 tanh layers, each as `torch.nn.Linear` starts by itself."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = [nn.Linear(64, WIDTH), nn.Tanh()]
        for _ in range(DEPTH - 1):
            layers += [nn.Linear(WIDTH, WIDTH), nn.Tanh()]
        return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


def tell_story(seed: int = 0, *, progress: Progress | None = None) -> Story:
    """Run the whole story on the digits; takes about a minute on two cores.

    `progress(text, done, total)` is called as it goes.
    """
    check_seed(seed)
    say = progress or (lambda text, done, total: None)
    data, model = digits(seed), fifty_layers(seed)
    batches = _batches(data)
    say("preflight", 0, 1)
    check = preflight(model, batches[0], seed=seed).named("50 tanh layers")
    say("preflight", 1, 1)
    fix = mend(model, batches[0], data=batches, seed=seed, progress=progress).named("50 tanh layers")
    before = _train_long(model, data, fix.trial_before.learning_rate, seed, "a long run as it is", say)
    rate = fix.proved.trial.learning_rate if fix.proved is not None and fix.proved.trial is not None else 1e-3
    mended = fix.model if fix.model is not None else model
    after = _train_long(mended, data, rate, seed, "a long run of the mended one", say)
    say("what each layer knows", 0, 2)
    probes_before = _probe(before.model, data, seed)
    say("what each layer knows", 1, 2)
    probes_after = _probe(after.model, data, seed)
    say("what each layer knows", 2, 2)
    return Story(check, fix, before.record, after.record, probes_before, probes_after)


def _train_long(model: nn.Module, data: Digits, rate: float, seed: int, text: str, say: Progress) -> Trained:
    """Train a copy; both networks get the same steps, each its own best learning rate."""
    ticks = count(1)
    asked = Asked(steps=LONG_RUN, batch_size=BATCH_SIZE, learning_rate=rate, schedule="cosine", warmup=50, seed=seed)
    return train(model, asked, data=data, progress=lambda step, total, loss: say(text, next(ticks), total))


def _probe(model: nn.Module, data: Digits, seed: int) -> Probes:
    layers = [name for name, module in model.named_modules() if type(module) is nn.Tanh]
    return probe(model, data, layers=layers, seed=seed)


def _batches(data: Digits) -> list[tuple[torch.Tensor, torch.Tensor]]:
    starts = range(0, len(data.train_targets) - BATCH_SIZE + 1, BATCH_SIZE)
    return [(data.train_inputs[start : start + BATCH_SIZE], data.train_targets[start : start + BATCH_SIZE]) for start in starts]


def _tried(fix: Fix) -> Sequence[Attempt]:
    return [attempt for attempt in fix.tried if attempt.outcome != "not tried"]


def _percent(record: Record) -> str:
    return "unknown" if record.held_out_accuracy is None else f"{record.held_out_accuracy:.1%}"
