"""One peer over a fixed subset of the zoo: `python -m benchmarks.peer_answers torchdiag FILE`."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import process_time
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.peer_readings import READERS, WRONG, Loss, Question, Said
from benchmarks.zoo.entry import Entry
from benchmarks.zoo.sample import drawn
from benchmarks.zoo.split import entries
from benchmarks.zoo.tasks import task
from benchmarks.zoo.truth import known
from fathometer.contract import loss_of

Row = dict[str, Any]
EACH = 12  # so many healthy and so many sick networks
MOST_SECONDS = 2.0  # of one training run: a peer takes up to a hundred times a step
PATIENCE = 180  # seconds; a peer that takes longer over one network has not answered
# What must not change a verdict: the loss times a constant, and fewer samples.
VARIANTS: dict[str, tuple[float, int]] = {
    "as it is": (1.0, 64), "loss times 1e-6": (1e-6, 64), "loss times 65536": (65536.0, 64), "batch of 2": (1.0, 2)
}  # fmt: skip


def subset() -> list[Entry]:
    """Return as many healthy as sick networks of the families that no limit was set on, with one tensor as input."""
    truth = known()
    fit = [entry for entry in entries("scored") if entry.name in truth and _fits(entry, truth[entry.name])]
    healthy = [entry for entry in fit if truth[entry.name]["truth"] == "healthy"]
    sick = [entry for entry in fit if truth[entry.name]["truth"] != "healthy" and entry.fault is not None]
    return drawn(healthy, EACH) + drawn(sick, EACH)


def _fits(entry: Entry, row: Row) -> bool:
    work = task(entry.task)
    is_plain = isinstance(work.inputs, Tensor) and not work.as_dict and entry.loss_fn is None
    return is_plain and row["cpu_seconds"] / len(row["shares"]) < MOST_SECONDS


def answer(peer: str, entry: Entry, truth: str) -> Row:
    """Return what a peer says of a network in every variant: words, verdict, causes, seconds, and whether it was left alone."""
    names = [] if entry.fault is None else [entry.fault, *entry.near]
    row: Row = {"peer": peer, "network": entry.name, "truth": truth, "expected": " or ".join(names)}
    row["verdicts"], row["errors"] = {}, {}
    for variant, (scale, size) in VARIANTS.items():
        asked = question(entry, scale, size)
        before, start = snapshot(asked.model), process_time()
        try:
            with patience(PATIENCE):
                said = READERS[peer](asked)
        except Exception as problem:  # a peer that fails has said nothing
            row["errors"][variant] = f"{type(problem).__name__}: {problem}"[:160]
            said = None
        if variant == "as it is":
            row["seconds"] = round(process_time() - start, 3)
            row["restored"] = is_same(before, snapshot(asked.model))
            row["said"] = [] if said is None else [[each.severity, each.word, list(each.causes)] for each in said]
        row["verdicts"][variant] = verdict(said)
    return row


def verdict(said: list[Said] | None) -> str:
    """Return what the worst of all that was said amounts to."""
    if said is None:
        return "no answer"
    return "healthy" if not said else "will not train" if any(each.severity == WRONG for each in said) else "at risk"


def question(entry: Entry, scale: float, size: int) -> Question:
    """Return the question about a fresh copy of a network, with its loss times a constant."""
    work, model = task(entry.task), entry.model()
    model.train()
    inputs, targets = work.preflight_batch(size)
    optimizer = entry.optimizer(model) if entry.optimizer else torch.optim.Adam(model.parameters(), lr=1e-3)
    batches = [batch for batch, _ in zip(work.batches(0), range(60), strict=False)]
    batches = [(x[:size], y[:size]) for x, y in batches]
    return Question(model, inputs, targets, scaled_loss(scale), optimizer, batches, entry.optimizer is not None)


def scaled_loss(scale: float) -> Loss:
    """Return the usual loss times a constant."""

    def loss(output: Any, targets: Any) -> Tensor:
        value = loss_of(output, targets)
        assert value is not None
        return value * scale

    return loss


def snapshot(model: nn.Module) -> list[Any]:
    """Return all that a look must not change: numbers, gradients, modes, hooks and the global generator."""
    modules = list(model.modules())
    hooks = [(len(each._forward_hooks), len(each._forward_pre_hooks), len(each._backward_hooks)) for each in modules]
    grads = [None if each.grad is None else each.grad.clone() for each in model.parameters()]
    flags = [each.training for each in modules] + [each.requires_grad for each in model.parameters()]
    state = [tensor.clone() for tensor in model.state_dict().values()]
    return [hooks, flags, *state, *grads, torch.get_rng_state()]


def is_same(one: list[Any], other: list[Any]) -> bool:
    """Return whether two snapshots are equal, bit for bit."""
    if len(one) != len(other):
        return False
    pairs = zip(one, other, strict=True)
    return all(_equal(a, b) for a, b in pairs)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())
    return type(a) is type(b) and not isinstance(a, Tensor) and a == b


@contextmanager
def patience(seconds: int) -> Iterator[None]:
    """Raise `TimeoutError` in whatever runs inside when the time is up."""

    def up(*_: object) -> None:
        raise TimeoutError(f"no answer in {seconds} s")

    before = signal.signal(signal.SIGALRM, up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def answers(peer: str, path: Path, say: Callable[[str], object] = print, chosen: list[Entry] | None = None) -> list[Row]:
    """Ask a peer about the networks that are not yet in the file, one line each; return the rows of all."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = {row["network"]: row for row in map(json.loads, lines) if row["peer"] == peer}
    truth, chosen = known(), subset() if chosen is None else chosen
    for number, entry in enumerate(chosen, start=1):
        if entry.name not in kept:
            row = kept[entry.name] = answer(peer, entry, truth[entry.name]["truth"])
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            words = f"{row['truth']:14} {row['verdicts']['as it is']:14} {row['seconds']:6.2f} s"
            say(f"{peer} {number}/{len(chosen)} {words}  {entry.name}")
    return [kept[entry.name] for entry in chosen]


if __name__ == "__main__":
    torch.set_num_threads(1)
    answers(sys.argv[1], Path(sys.argv[2]), say=lambda line: print(line, flush=True))
