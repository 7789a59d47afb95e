"""Are steps of training without weights those with weights? At 12 × 512."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.permutations import p_value
from fathometer.diagnosis.full_size.first_steps import first_steps
from fathometer.diagnosis.own_batch import own_data
from fathometer.implicit import Rule
from fathometer.spec import Transformer

PARTIAL = Path(__file__).parent / "results" / "full_size_exact.jsonl"  # a run that was stopped goes on from here
SPEC = Transformer(depth=12, width=512, heads=8, vocabulary=1000, context=16)
SEEDS, STEPS = 40, 3
RULES = {"SGD": Rule("sgd", 0.5, momentum=0.9), "Adam": Rule("adam", 1e-2)}
OTHERS = {"SGD": Rule("sgd", 0.75, momentum=0.9), "Adam": Rule("adam", 1.5e-2)}  # the negative control: a rate larger by half
# How weights are had, the first seed, and the rules: real ones twice, with other seeds, then none.
SAMPLES = {
    "real": ("streamed", 0, RULES),
    "real again": ("streamed", SEEDS, RULES),
    "never made": ("sampled", 0, RULES),
    "never made, another rate": ("sampled", 0, OTHERS),
}


def full_size_exact() -> list[dict[str, Any]]:
    """Return one row for each optimizer: p of max-|z| permutation tests of losses, streams, and signal and gradient by block."""
    torch.set_num_threads(1)
    runs = [json.loads(line) for line in PARTIAL.read_text(encoding="utf-8").splitlines()] if PARTIAL.exists() else []
    done = {(run["optimizer"], run["sample"], run["seed"]) for run in runs}
    for optimizer, sample, seed in _asked():
        if (optimizer, sample, seed) not in done:
            runs.append(_run(optimizer, sample, seed))
    return [_row(optimizer, runs) for optimizer in RULES]


def steps_of(spec: Transformer, rule: Rule, method: str, seed: int, steps: int = STEPS) -> list[float]:
    """Return the losses of the first steps, the logs of the stream's sizes, and of signal and gradient by block at the end.

    All seeds see the same batches: only the weights differ.
    """
    batches = [(inputs[:4, :4], targets[:4, :4]) for inputs, targets in own_data(spec, seed=5)]
    found = first_steps(spec, rule, steps=steps, method=method, seed=seed, smallest=1, batches=batches)  # pyrefly: ignore[bad-argument-type]
    logs = [np.log(value) for name in ("signal", "gradient") for _, value in found.profiles[-1].known(name) if value > 0]
    return [*found.losses, *np.log(found.sizes), *logs[:-1]]


def _asked() -> Iterator[tuple[str, str, int]]:
    for optimizer in RULES:
        for sample, (_, first, _) in SAMPLES.items():
            yield from ((optimizer, sample, first + seed) for seed in range(SEEDS))


def _run(optimizer: str, sample: str, seed: int) -> dict[str, Any]:
    method, _, rules = SAMPLES[sample]
    numbers = [float(f"{number:.6g}") for number in steps_of(SPEC, rules[optimizer], method, seed)]
    run = {"optimizer": optimizer, "sample": sample, "seed": seed, "numbers": numbers}
    print(optimizer, sample, seed, file=sys.stderr, flush=True)
    with PARTIAL.open("a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")
    return run


def _row(optimizer: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    samples = {
        sample: np.array([run["numbers"] for run in runs if (run["optimizer"], run["sample"]) == (optimizer, sample)])
        for sample in SAMPLES
    }
    found = {f"p, real against {name}": p_value(samples["real"], samples[name]) for name in SAMPLES if name != "real"}
    return {"network": f"{SPEC.depth} x {SPEC.width}", "optimizer": optimizer, "steps": STEPS, "seeds": SEEDS, **found}
