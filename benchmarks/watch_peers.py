"""What others take to watch a step: process time beside a bare step."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic, process_time
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.peers import HOME, ROOT, installed, version_of
from benchmarks.watch import DRAWS, NETWORKS, Loop

Row = dict[str, Any]
Step = Callable[[Loop], None]
PEERS = ("wandb", "torchmortem", "torchlens")  # names on PyPI
OWN = ("fathometer economy", "fathometer standard")
MOST, FEWEST, SECONDS = 40, 4, 25.0  # rounds, and how long they may take where there were enough of them
SHOWN = ("mlp 50 x 64", "gpt 12 x 128")


def watch_peers() -> list[Row]:
    """Return one row for each network and watcher: what a step takes of which everything is watched, over a bare one.

    Rounds of a bare step and a watched one on twins of a network, each watcher in a process of its own, in the environment of
    `benchmarks peers`. The factor is the median watched step over the median bare one; `high` is its upper end of 95% by
    bootstrap over rounds. W&B (offline) logs gradients and parameters at every step; what its service does in a process of its
    own is not counted. TorchMortem samples "thorough"ly. TorchLens traces the pass with its gradients.
    """
    problems = installed(PEERS)
    rows = []
    for network in SHOWN:
        for watcher in (*OWN, *PEERS):
            row = _asked(watcher, network) if watcher not in problems else {"problem": problems[watcher]}
            version = None if watcher in OWN or watcher in problems else version_of(watcher)
            rows.append({"network": network, "watcher": watcher, "version": version, **row})
            print(rows[-1], flush=True)
    return [{key: row.get(key) for key in (*rows[0], "problem")} for row in rows]


def _asked(watcher: str, network: str) -> Row:
    source = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    settings = os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "WANDB_SILENT": "true"}
    words = [str(HOME / "bin" / "python"), "-m", "benchmarks.watch_peers", watcher, network]
    done = subprocess.run(words, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"problem": (done.stderr.strip().splitlines() or ["no reason given"])[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


@contextmanager
def fathometer(loop: Loop, price: str) -> Iterator[Step]:
    """Watch as we do."""
    from fathometer.diagnosis import watch

    with watch(loop.model, loop.optimizer, every=1, price=price) as seen:
        yield lambda loop: _plain(loop, lambda loss: seen.step(loss))


@contextmanager
def wandb(loop: Loop, price: str) -> Iterator[Step]:
    """Watch as W&B does."""
    import wandb as home

    with tempfile.TemporaryDirectory() as folder, home.init(mode="offline", project="watching", dir=folder) as run:
        run.watch(loop.model, log="all", log_freq=1)
        yield lambda loop: _plain(loop, lambda loss: run.log({"loss": loss.item()}))


@contextmanager
def torchmortem(loop: Loop, price: str) -> Iterator[Step]:
    """Watch as TorchMortem does."""
    from torchmortem import Autopsy

    with Autopsy(loop.model, optimizer=loop.optimizer, sampling="thorough") as autopsy:
        yield lambda loop: _plain(loop, lambda loss: autopsy.step(loss=loss.item()))


@contextmanager
def torchlens(loop: Loop, price: str) -> Iterator[Step]:
    """Trace as TorchLens does, with the gradients of the pass."""
    import torchlens as lens

    def step(loop: Loop) -> None:
        loop.optimizer.zero_grad()
        trace = lens.trace(loop.model, loop.inputs, capture=lens.options.CaptureOptions(save_grads=True))
        output = trace[trace.output_layers[0]].out
        trace.log_backward(F.cross_entropy(output.reshape(-1, output.shape[-1]), loop.targets.reshape(-1)))
        loop.optimizer.step()

    yield step


WATCHERS = {"fathometer": fathometer, "wandb": wandb, "torchmortem": torchmortem, "torchlens": torchlens}


def _plain(loop: Loop, tell: Callable[[torch.Tensor], Any]) -> None:
    loop.optimizer.zero_grad()
    output = loop.model(loop.inputs)
    loss = F.cross_entropy(output.reshape(-1, output.shape[-1]), loop.targets.reshape(-1))
    loss.backward()
    loop.optimizer.step()
    tell(loss)


def measured(watcher: str, network: str) -> Row:
    """Return what a watched step takes over a bare one, from rounds of both."""
    torch.set_num_threads(1)
    name, _, price = watcher.partition(" ")
    bare, watched, times = Loop(NETWORKS[network]), Loop(NETWORKS[network]), list[tuple[float, float]]()
    with ExitStack() as stack:
        step = stack.enter_context(WATCHERS[name](watched, price))
        for _ in range(2):
            bare.step()
            step(watched)
        began = monotonic()
        while len(times) < MOST and (len(times) < FEWEST or monotonic() - began < SECONDS):
            plain, start = bare.step(), process_time()
            step(watched)
            times.append((plain, process_time() - start))
    both = np.array(times)
    drawn = both[np.random.default_rng(0).integers(len(both), size=(DRAWS, len(both)))]
    factors = np.median(drawn[..., 1], axis=1) / np.median(drawn[..., 0], axis=1)
    plain, taken = np.median(both, axis=0)
    return {
        "bare_ms": 1e3 * float(plain),
        "factor": float(taken / plain),
        "factor_high": float(np.quantile(factors, 0.95)),
        "rounds": len(both),
    }


if __name__ == "__main__":
    print(json.dumps(measured(*sys.argv[1:])))
