"""Tokens a second: our loop, a plain one, and Hugging Face's GPT-2."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median
from time import perf_counter, process_time
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.data import find_dataset
from fathometer.networks import build
from fathometer.records import Asked
from fathometer.spec import Transformer
from fathometer.training import begin, go_on

Row = dict[str, Any]
Pairs = Iterator[tuple[Tensor, Tensor]]
Times = list[tuple[float, float]]  # seconds of CPU and of the clock, for each round
Loop = tuple[Callable[[Pairs], None], list[float]]  # what takes some steps, and the losses of all steps so far
SPEC = Transformer(depth=12, width=256, heads=4, vocabulary=256, context=256)
BATCH, RATE = 4, 1e-3
STEPS, ROUNDS = 2, 11  # of each loop in each round, so that what else the machine does falls on all of them


def training() -> list[Row]:
    """Return one row for each pair of `PAIRS`: tokens a second of CPU time and of the clock, and our speed over its, by rounds.

    All run on one thread, with the same batches, no dropout and the fused AdamW. "plain" is the least that trains our network,
    from the same start: `same_losses` says whether its losses are ours, bit for bit. "hugging face" is GPT-2 as its
    configuration builds it (sdpa), with GPT-2's GELU, a tanh; beside ours with the same function, and with our default, the
    exact one. Then exact against exact: there both take their time in the same products, so none can be much faster.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            loops = {name: make() for name, make in LOOPS.items()}
            found = _measure(loops)
    finally:
        torch.set_num_threads(threads)
    same = loops["ours"][1] == loops["plain"][1]
    rows = [_row(own, other, found[own], found[other]) for own, other in PAIRS]
    return [{**row, "same_losses": same if row["loop"] == "plain" else None} for row in rows]


def _ours(spec: Transformer) -> Loop:
    course = begin(build(spec), Asked(steps=1, batch_size=BATCH, optimizer="adamw", learning_rate=RATE, weight_decay=0.01))

    def run(pairs: Pairs) -> None:
        course.asked = replace(course.asked, steps=course.step + STEPS)
        go_on(course, pairs)

    return run, course.losses


def _plain() -> Loop:
    model = build(SPEC)

    def loss(inputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())

    return _loop(model, loss)


def _hugging_face(activation: str) -> Loop:
    model = gpt2_of(SPEC, activation)
    return _loop(model, lambda inputs, targets: model(input_ids=inputs, labels=inputs).loss)


def gpt2_of(spec: Transformer, activation: str) -> Any:
    """Return Hugging Face's GPT-2 of these sizes, without dropout, its attention torch's own."""
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"n_layer": spec.depth, "n_embd": spec.width, "n_head": spec.num_heads, "n_positions": spec.context}
    dropped = ("resid_pdrop", "embd_pdrop", "attn_pdrop")
    off: dict[str, Any] = {**dict.fromkeys(dropped, 0.0), "use_cache": False, "bos_token_id": None, "eos_token_id": None}
    return GPT2LMHeadModel(
        GPT2Config(**sizes, **off, vocab_size=spec.vocabulary, activation_function=activation, attn_implementation="sdpa")
    )


def _loop(model: nn.Module, loss_of: Callable[[Tensor, Tensor], Tensor]) -> Loop:
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01, fused=True)
    losses: list[float] = []
    model.train()

    def run(pairs: Pairs) -> None:
        for _ in range(STEPS):
            inputs, targets = next(pairs)
            optimizer.zero_grad()
            loss = loss_of(inputs, targets)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    return run, losses


LOOPS: dict[str, Callable[[], Loop]] = {
    "ours": lambda: _ours(SPEC),
    "ours, tanh gelu": lambda: _ours(replace(SPEC, activation="gelu_tanh")),
    "plain": _plain,
    "hugging face": lambda: _hugging_face("gelu_new"),
    "hugging face, exact gelu": lambda: _hugging_face("gelu"),
}
PAIRS = (
    ("ours", "plain"),
    ("ours, tanh gelu", "hugging face"),
    ("ours", "hugging face"),
    ("ours", "hugging face, exact gelu"),
)
TARGETS = {"plain": 0.99, "hugging face": 1.05}


def _measure(loops: dict[str, Loop]) -> dict[str, Times]:
    """Return the times of each loop for all rounds; the order turns, and a first round warms up."""
    pairs = {name: iter(find_dataset("text", context=SPEC.context).batches(BATCH, 0)) for name in loops}
    found = {name: Times() for name in loops}
    for turn in range(ROUNDS + 1):
        names = list(loops)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            seconds = _seconds(loops[name][0], pairs[name])
            if turn > 0:
                found[name].append(seconds)
    return found


def _seconds(run: Callable[[Pairs], None], pairs: Pairs) -> tuple[float, float]:
    cpu, clock = process_time(), perf_counter()
    run(pairs)
    return process_time() - cpu, perf_counter() - clock


def _row(own: str, other: str, ours: Times, times: Times) -> Row:
    tokens = STEPS * BATCH * SPEC.context
    ratios = sorted(cpu / mine for (cpu, _), (mine, _) in zip(times, ours, strict=True))
    target = TARGETS.get(other)
    return {
        "own": own,
        "loop": other,
        "own_tokens_per_cpu_second": tokens / median(cpu for cpu, _ in ours),
        "tokens_per_cpu_second": tokens / median(cpu for cpu, _ in times),
        "tokens_per_second": tokens / median(clock for _, clock in times),
        "own_over_it": median(ratios),
        "lowest": ratios[0],
        "highest": ratios[-1],
        "rounds": len(times),
        "target": target,
        "kept": None if target is None else median(ratios) >= target,
    }
