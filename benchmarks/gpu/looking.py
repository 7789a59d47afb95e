"""Preflights, first steps and many networks at once, on a GPU."""

import subprocess
import sys
from time import perf_counter
from typing import Any

import torch

from benchmarks.gpu.device import begin_peak, made, peak, place_of, seconds
from benchmarks.gpu.sizes import Sizes
from benchmarks.many import by_hand, grid, quiet
from fathometer.contract import map_tensors
from fathometer.diagnosis import preflight
from fathometer.diagnosis.full_size.answer import preflight_full_size, shape_of
from fathometer.diagnosis.full_size.first_steps import first_steps
from fathometer.diagnosis.own_batch import own_batch, own_data
from fathometer.implicit import Rule
from fathometer.runs import many
from fathometer.scaling import num_parameters
from fathometer.spec import preset

Found = list[dict[str, Any]]
TOKENS = 16


def look_at_weights(sizes: Sizes) -> Found:
    """Return the wall seconds of a preflight of GPT-2 XL with real weights, and its passes and memory over one AdamW step's."""
    spec, place = preset(sizes.preflight), place_of(sizes)
    model, batch = made(spec, place), map_tensors(own_batch(spec), lambda tensor: tensor.to(place))
    preflight("mlp-5", thorough=False)  # what is imported once is not counted
    begin_peak(place)
    found = []
    took = seconds(lambda: found.append(preflight(model, batch)), place)
    looked = peak(place)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    begin_peak(place)
    steps = [seconds(lambda: _step(model, batch, optimizer), place) for _ in range(3)]
    size = f"{num_parameters(spec) / 1e9:.2f} billion parameters, {looked / 1e9:.1f} GB"
    words = f"{found[0].verdict}, {size}; a step {steps[-1]:.2f} s"
    return [
        {"what": "seconds", "measured": took, "detail": words},
        {"what": "memory over a step's", "measured": looked / peak(place), "detail": words},
    ]


def _step(model: torch.nn.Module, batch: Any, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten()).backward()
    optimizer.step()


def full_size(sizes: Sizes) -> Found:
    """Return the wall seconds of a preflight of 175 billion parameters, none made."""
    return _unmade(sizes, sizes.unmade[0])


def full_size_more(sizes: Sizes) -> Found:
    """Return those of ten trillion parameters."""
    return _unmade(sizes, sizes.unmade[1])


def _unmade(sizes: Sizes, name: str) -> Found:
    spec, place = preset(name), place_of(sizes)
    samples, time = shape_of(TOKENS)
    batch = map_tensors(own_batch(spec), lambda tensor: tensor[:samples, :time].contiguous().to(place))
    begin_peak(place)
    found = []
    took = seconds(lambda: found.append(preflight_full_size(name, batch)), place)
    words = (
        f"{found[0].verdict}, {num_parameters(spec) / 1e12:.3f} trillion parameters, {TOKENS} tokens, {peak(place) / 1e9:.2f} GB"
    )
    return [{"what": "seconds", "measured": took, "detail": words}]


def adam_steps(sizes: Sizes) -> Found:
    """Return the wall seconds of each of three steps of Adam at 175 billion parameters, none made."""
    spec, place, steps = preset(sizes.unmade[0]), place_of(sizes), 3
    samples, time = shape_of(TOKENS)
    some = own_data(spec)[: steps + 1]
    pairs = [map_tensors(pair, lambda tensor: tensor[:samples, :time].contiguous().to(place)) for pair in some]
    begin_peak(place)
    found = []
    took = seconds(lambda: found.append(first_steps(spec, Rule("adam", 6e-5), steps=steps, batches=pairs)), place)
    losses = " ".join(f"{loss:.3f}" for loss in found[0].losses)
    return [{"what": "seconds a step", "measured": took / steps, "detail": f"losses {losses}, {peak(place) / 1e9:.2f} GB"}]


def many_at_once(sizes: Sizes) -> Found:
    """Return how often faster a grid of networks is as stacks than as a loop; both have run before, to load their kernels."""
    depths, widths, steps = sizes.many
    runs = grid(depths, widths, steps)
    with place_of(sizes):
        many(grid(depths, widths, 2), progress=quiet)
        by_hand(grid((2,), widths, 2))
        stacked = _wall(lambda: many(runs, progress=quiet))
        loop = _wall(lambda: by_hand(runs))  # reads each loss, as `many` must for its records
    words = f"{len(runs)} networks, {steps} steps: {stacked:.1f} s, loop {loop:.1f} s"
    return [{"what": "times the loop", "measured": loop / stacked, "detail": words}]


def _wall(work: Any) -> float:
    start = perf_counter()
    work()  # ends with numbers on the host, so nothing is left to wait for
    return perf_counter() - start


def marked_tests(sizes: Sizes) -> Found:
    """Return whether a test that needs a GPU fails."""
    files = ("tests/networks/test_build.py", "tests/diagnosis/full_size/test_answer.py", "tests/runs/test_many.py")
    line = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", *files]
    told = subprocess.run(line, capture_output=True, text=True, check=False)
    last = (told.stdout.strip().splitlines() or ["nothing was said"])[-1].strip("= ")
    if told.returncode not in (0, 1) or not (sizes.rehearsal or " passed" in last):
        raise RuntimeError(f"pytest: {last}")
    return [{"what": "tests that fail", "measured": float(told.returncode), "detail": last}]
