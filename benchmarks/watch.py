"""What watching costs: process time of measured and idle steps, paired."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from time import process_time
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.peak_memory import peak_bytes
from fathometer.diagnosis import Watch
from fathometer.diagnosis import watch as watch_run
from fathometer.networks import build
from fathometer.spec import Transformer

Row = dict[str, Any]
ROUNDS, FEW_ROUNDS, DRAWS = 300, 8, 4000  # a step of a busy machine is 4% off: so many bring what an idle one costs to 0.5%
EVERY = (50, 10, 1)
MEMORY_OF = "gpt 12 x 128"
LIMITS = {"gpt 12 x 128": (1.01, 1.03, 1.10), "gpt 24 x 512": (1.01, 1.03, 1.10), "mlp 50 x 64": (None, 1.05, 1.5)}


def watch() -> list[Row]:
    """Return one row for each network and price: what a measured and an idle step take over a bare one, and so every nth.

    Rounds on the same network and batch: an idle step after a measured one, a bare one, an idle one, and two measured ones. The
    first of these pays for taking the hooks on, and for what the step after a measured one takes more than another (`first`);
    the second one stands for every step (`again`). A cost is the median over rounds of the difference to the bare step of the
    same round, over the median bare step; `high` are upper ends of 95% by bootstrap over rounds. Every nth step costs
    1 + idle + first/n, every step 1 + again. `memory` is the peak of a process that is watched at every step over a bare one's.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [_row(name, NETWORKS[name], price) for name, prices in PRICED.items() for price in prices]
    finally:
        torch.set_num_threads(threads)
    return rows


def _gpt(depth: int, width: int) -> Callable[[], tuple[nn.Module, Any, int]]:
    def make() -> tuple[nn.Module, Any, int]:
        model = build(Transformer(depth=depth, width=width, heads=width // 32, vocabulary=256, context=64), seed=0)
        tokens = torch.randint(256, (8, 65), generator=torch.Generator().manual_seed(0))
        return model, (tokens[:, :-1], tokens[:, 1:]), ROUNDS if width < 512 else FEW_ROUNDS

    return make


def _mlp() -> tuple[nn.Module, Any, int]:
    torch.manual_seed(0)
    layers = [part for _ in range(50) for part in (nn.Linear(64, 64), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(64, 10)), (torch.randn(64, 64), torch.randint(10, (64,))), 3 * ROUNDS


NETWORKS: dict[str, Callable[[], tuple[nn.Module, Any, int]]] = {
    "gpt 12 x 128": _gpt(12, 128),
    "gpt 24 x 512": _gpt(24, 512),
    "mlp 50 x 64": _mlp,
}

# The large one takes three seconds a step.
PRICED = {"mlp 50 x 64": ("economy", "standard"), "gpt 12 x 128": ("economy", "standard"), "gpt 24 x 512": ("standard",)}


class Loop:
    """The least loop: a network, a batch, a fused AdamW."""

    def __init__(self, make: Callable[[], tuple[nn.Module, Any, int]]) -> None:
        self.model, (self.inputs, self.targets), self.rounds = make()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-5, fused=True)

    def step(self, seen: Watch | None = None) -> float:
        """Take one step, and return its process time in seconds."""
        start = process_time()
        self.optimizer.zero_grad()
        output = self.model(self.inputs)
        loss = F.cross_entropy(output.reshape(-1, output.shape[-1]), self.targets.reshape(-1))
        loss.backward()
        self.optimizer.step()
        if seen is not None:
            seen.step(loss)
        else:
            loss.item()
        return process_time() - start


def _row(name: str, make: Callable[[], tuple[nn.Module, Any, int]], price: str) -> Row:
    loop = Loop(make)
    for _ in range(3):
        loop.step()
    bare, idle, first, again = (np.array(times) for times in zip(*_rounds(loop, price), strict=True))
    drawn = np.random.default_rng(0).integers(len(bare), size=(DRAWS, len(bare)))
    cost: Row = {"network": name, "price": price, "bare_ms": 1e3 * float(np.median(bare)), "rounds": len(bare)}
    extra, spread = dict[str, float](), dict[str, Any]()
    for what, times in (("idle", idle), ("first", first), ("again", again)):
        extra[what] = float(np.median(times - bare) / np.median(bare))
        spread[what] = np.median((times - bare)[drawn], axis=1) / np.median(bare[drawn], axis=1)
        cost |= {what: extra[what], f"{what}_high": float(np.quantile(spread[what], 0.95))}
    for every, limit in zip(EVERY, LIMITS[name], strict=True):
        one, drawn_so = (each["again"] if every == 1 else each["idle"] + each["first"] / every for each in (extra, spread))
        cost[f"every_{every}"], cost[f"every_{every}_high"] = 1 + one, 1 + float(np.quantile(drawn_so, 0.95))
        cost[f"every_{every}_limit"] = limit
    cost["memory"] = _memory(price) if name == MEMORY_OF and price == "standard" else None
    print(cost, flush=True)
    return cost


def _rounds(loop: Loop, price: str) -> list[tuple[float, ...]]:
    """Return (bare, idle, first measured, measured again) for each round."""
    state = {"on": False, "stay": False}
    with watch_run(loop.model, loop.optimizer, every=lambda step: state["on"], price=price) as seen:
        state["on"] = True
        loop.step(seen)  # arms the next …
        loop.step(seen)  # … which looks for depth
        state["on"] = False
        loop.step(seen)
        return [_round(loop, seen, state) for _ in range(loop.rounds)]


def _round(loop: Loop, seen: Watch, state: dict[str, bool]) -> tuple[float, ...]:
    after = loop.step(seen)
    bare = loop.step()
    idle = loop.step(seen)
    start = process_time()
    state["on"] = True
    seen._prepare()  # what an idle step does at its end, where the next one is measured
    armed = process_time() - start
    first = armed + loop.step(seen) + after - idle
    state["on"] = False
    again = loop.step(seen)
    return bare, idle, first, again


def _memory(price: str) -> float:
    """Return the peak memory of a process that trains, watched at every step, over that of a bare one."""
    return _peak(price) / _peak("bare")


def _peak(how: str) -> int:
    code = f"from benchmarks.watch import peak; peak({how!r})"
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def peak(how: str) -> None:
    """Train for fifteen steps, and print the most bytes that this process held."""
    torch.set_num_threads(1)
    loop = Loop(NETWORKS[MEMORY_OF])
    around: AbstractContextManager[Watch | None] = nullcontext()
    if how != "bare":
        around = watch_run(loop.model, loop.optimizer, every=1, price=how)
    with around as seen:
        for _ in range(15):
            loop.step(seen)
    print(peak_bytes())
