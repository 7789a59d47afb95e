"""One network of the zoo: how it is made, and what was planted in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import torch
from torch import Tensor, nn

Maker = Callable[[int], nn.Module]
MakeOptimizer = Callable[[nn.Module], torch.optim.Optimizer]
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Entry:
    """A network by name, family and seed; `fault` is None where nothing was planted.

    `fault` is the cause that should be the first finding, `near` the causes that are equally right, `strength` 1 (mild) to
    3 (strong), `fix` the name of a remedy that is known to mend it. `task` is a key of `TASKS`, whose twin is the known-good
    network. Where `optimizer` is given, that is what trains it (no sweep of rates). What is planted is no truth: training is.
    """

    name: str
    family: str
    task: str
    seed: int
    maker: Maker
    fault: str | None = None
    near: tuple[str, ...] = ()
    strength: int = 0
    fix: str | None = None
    optimizer: MakeOptimizer | None = None
    loss_fn: Loss | None = None

    def model(self) -> nn.Module:
        """Return the network anew, the same each time; the global generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return self.maker(self.seed)


def well(family: str, task: str, makers: Mapping[str, Maker]) -> list[Entry]:
    """Return entries without a fault."""
    return [Entry(f"{family}: {name}", family, task, seed_of(f"{family}: {name}"), maker) for name, maker in makers.items()]


def ill(
    family: str,
    task: str,
    fault: str,
    makers: Mapping[str, Maker],
    *,
    near: Sequence[str] = (),
    fix: str | None = None,
    optimizer: MakeOptimizer | None = None,
    loss_fn: Loss | None = None,
) -> list[Entry]:
    """Return entries with one fault, from mild to strong."""
    rows = []
    for strength, (name, maker) in enumerate(makers.items(), start=4 - len(makers)):
        full = f"{family}: {name}"
        rows.append(
            Entry(full, family, task, seed_of(full), maker, fault, tuple(near), strength, fix, optimizer, loss_fn)
        )  # fmt: skip
    return rows


def seed_of(name: str) -> int:
    """Return the seed that a name decides."""
    return crc32(name.encode()) % 10_000
