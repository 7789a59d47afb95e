"""Faults planted in a user's own work, and our guards switched off."""

import json
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.faults.child import Work
from benchmarks.faults.targets import Spoil
from fathometer.diagnosis import watch
from fathometer.records import Asked
from fathometer.runs import train
from fathometer.sinks.fan import Fan
from fathometer.training import checkpoint
from fathometer.training import step as steps

AT, STEPS = 30, 60  # the step in which the fault comes


class Spoilt(nn.Module):
    """A small network in whose thirtieth call a weight, or a gradient, is not finite any more."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where, self.calls = where, 0
        self.first, self.last = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return four numbers for each input."""
        self.calls += 1
        if self.calls == AT and self.where == "weights":
            with torch.no_grad():
                self.first.weight[0, 0] = float("inf")
        x = torch.tanh(self.first(x))
        return self.last(Spoil.apply(x) if self.calls == AT and self.where == "gradients" else x)


def batches(where: str) -> list[tuple[Tensor, Tensor]]:
    """Return a batch for each step; with the fault in the data, one number of one of them is not finite."""
    generator = torch.Generator().manual_seed(0)
    made = [(torch.randn(8, 16, generator=generator), torch.randint(4, (8,), generator=generator)) for _ in range(STEPS)]
    if where == "data":
        made[AT - 1][0][3, 5] = float("nan")
    return made


def train_spoilt(where: str, clip: float | None, folder: Path) -> None:
    """Train, and print as JSON how it ended and whether what is kept is finite."""
    torch.manual_seed(0)
    asked = Asked(steps=STEPS, optimizer="adamw", clip=clip, save_every=10)
    record = train(Spoilt(where), asked, data=batches(where), folder=folder, progress=lambda *_: None).record
    newest = checkpoint.checkpoints(folder / "checkpoints")[-1]
    finite = all(bool(value.isfinite().all()) for value in load_file(newest / "model.safetensors").values())
    facts = {"kept": int(newest.name.removeprefix("step-")), "finite": finite, "steps": len(record.losses)}
    print(json.dumps({"status": record.status, "in": record.stopped_in, **facts}))


def watch_spoilt(where: str, folder: Path) -> None:
    """Run a user's own loop that is watched, a fault in its thirtieth step; say every alert, and the last step."""
    torch.manual_seed(0)
    model = nn.Sequential(*[part for _ in range(6) for part in (nn.Linear(16, 16), nn.Tanh())], nn.Linear(16, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    weight: Any = model[4].weight
    with watch(model, optimizer, every=1, record=folder) as seen:
        for step, batch in enumerate(batches(where), 1):
            if step == AT and where == "memory":
                torch.empty(2**62, dtype=torch.uint8)
            if step == AT and where == "weights":
                with torch.no_grad():
                    weight[0, 0] = float("inf")
            loss = F.cross_entropy(model(batch[0]), batch[1])
            optimizer.zero_grad()
            loss.backward()
            if step == AT and where == "gradients":
                weight.grad[0, 0] = float("nan")
            optimizer.step()
            for alert in seen.step(loss, batch):
                print(f"alert in step {step}: {alert}")
            time.sleep(0.05 if where == "slowly" else 0)
    print(f"all {step} steps were taken")


def written_in_place(work: Work) -> Work:
    """Return the work with checkpoints that are written in place, and slowly: the guard that they have is off."""

    def write_folder(target: Path, files: Mapping[str, Any]) -> None:
        target.mkdir(parents=True)
        for name, write in files.items():
            write(target / name)
            time.sleep(0.2)
        sums = "".join(f"{checkpoint._sha256(target / name)}  {name}\n" for name in files)
        (target / checkpoint.SUMS).write_text(sums, encoding="utf-8")

    return _patched(work, (checkpoint, "write_folder", write_folder))


def numbers_unguarded(work: Work) -> Work:
    """Return the work with nothing that looks whether numbers are finite."""
    return _patched(work, (steps, "isfinite", lambda value: True), (checkpoint, "is_finite", lambda model: True))


def record_unguarded(work: Work) -> Work:
    """Return the work with a record whose failure ends the run."""

    def hand_on(self: Fan, give: Any) -> None:
        for sink in self.sinks:
            give(sink)

    return _patched(work, (Fan, "_hand_on", hand_on))


def memory_unguarded(work: Work) -> Work:
    """Return the work with memory that runs out as torch says it."""
    homes = [import_module(f"fathometer.{name}") for name in ("cli.main", "diagnosis.room", "runs.room")]
    return _patched(work, *((home, "ran_out", lambda problem: False) for home in homes))


def _patched(work: Work, *changes: tuple[Any, str, Any]) -> Work:
    """Return the work with names that stand for something else; it is done in a process that ends with it."""

    def with_changes() -> None:
        for home, name, value in changes:
            setattr(home, name, value)
        work()

    return with_changes
