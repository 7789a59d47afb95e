"""How much of the chip a deep transformer uses: our loop, a plain one, Hugging Face's, and the widest that fits."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gpu.device import begin_peak, chip_flops, made, peak, place_of, room, seconds
from benchmarks.gpu.sizes import Sizes, gpt
from benchmarks.training import gpt2_of
from fathometer.records import Asked
from fathometer.scaling import memory_bytes, num_parameters, training_flops
from fathometer.spec import Transformer
from fathometer.training import begin, go_on
from fathometer.training.precision import casting

Found = list[dict[str, Any]]
Steps = Callable[[int], None]
RATE, SHARE = 1e-4, 0.92  # of the free memory that is planned for


def train_ours(sizes: Sizes) -> Found:
    """Return the use of the chip by `fathometer.training`: bf16 autocast, compiled blocks, fused AdamW."""
    return _measured(sizes, *sizes.train, _ours)


def train_plain(sizes: Sizes) -> Found:
    """Return that of the least loop over the same network, compiled block by block too, which reads each loss as ours does."""
    return _measured(sizes, *sizes.train, _plain)


def train_hugging_face(sizes: Sizes) -> Found:
    """Return that of Hugging Face's GPT-2 of the same sizes in the same least loop."""
    return _measured(sizes, *sizes.train, _hugging_face)


def train_widest(sizes: Sizes) -> Found:
    """Return that of the widest network of `sizes.widths` that fits by `memory_bytes`, or else of the next one that runs."""
    place, tried = place_of(sizes), list[str]()
    for width in sizes.widths:
        spec = replace(sizes.train[0], width=width, heads=gpt(1, width).num_heads)
        foretold = memory_bytes(spec, sizes.widest_batch).total
        if foretold > SHARE * room(place):
            tried.append(f"{width}: {foretold / 1e9:.0f} GB foretold")
            continue
        try:
            rows = _measured(sizes, spec, sizes.widest_batch, _ours)
        except torch.OutOfMemoryError:
            tried.append(f"{width}: out of memory, {foretold / 1e9:.0f} GB foretold")
            continue
        words = f"{spec.depth} x {width}, {num_parameters(spec) / 1e9:.1f} billion parameters, {foretold / 1e9:.0f} GB foretold"
        return [{**row, "detail": "; ".join([words, row["detail"], *tried])} for row in rows]
    raise RuntimeError(f"none fits: {'; '.join(tried)}")


def _measured(sizes: Sizes, spec: Transformer, batch: int, loop: Callable[[Transformer, int, torch.device], Steps]) -> Found:
    place = place_of(sizes)
    begin_peak(place)
    run = loop(replace(spec, activation="gelu_tanh"), batch, place)  # GPT-2's, so that all three do the same
    warm = seconds(lambda: run(sizes.steps), place)
    took = seconds(lambda: run(sizes.steps), place)
    samples, chip = sizes.steps * batch / took, chip_flops(place)
    words = (
        f"{1e3 * took / sizes.steps:.0f} ms a step of {batch} x {spec.context}, warm-up {warm:.0f} s, {peak(place) / 1e9:.1f} GB"
    )
    share = None if chip is None else training_flops(spec) * samples / chip
    return [
        {"what": "utilisation", "measured": share, "detail": words},
        {"what": "tokens a second", "measured": samples * spec.context, "detail": words},
    ]


def batches(spec: Transformer, batch: int, place: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield random tokens for ever, and those that follow: they lie on the device already, as a loader that keeps up has them."""
    draws = torch.Generator().manual_seed(0)
    tokens = torch.randint(spec.vocabulary, (4, batch, spec.context + 1), generator=draws, device="cpu").to(place)
    pairs = [(rows[:, :-1].contiguous(), rows[:, 1:].contiguous()) for rows in tokens]
    while True:
        yield from pairs


def _ours(spec: Transformer, batch: int, place: torch.device) -> Steps:
    asked = Asked(steps=1, batch_size=batch, optimizer="adamw", learning_rate=RATE, precision="bfloat16", compile=True)
    course, pairs = begin(made(spec, place), asked), batches(spec, batch, place)

    def run(steps: int) -> None:
        course.asked = replace(course.asked, steps=course.step + steps)
        go_on(course, pairs)

    return run


def _plain(spec: Transformer, batch: int, place: torch.device) -> Steps:
    model = made(spec, place)
    for block in model.blocks:
        block.compile()
    return plain_loop(model, batches(spec, batch, place), lambda inputs, targets: cross_entropy(model(inputs), targets))


def _hugging_face(spec: Transformer, batch: int, place: torch.device) -> Steps:
    with place:  # its own start, drawn where it lives
        model = gpt2_of(spec, "gelu_new")
    for block in model.transformer.h:
        block.compile()
    return plain_loop(model, batches(spec, batch, place), lambda inputs, _: model(input_ids=inputs, labels=inputs).loss)


def cross_entropy(values: Tensor, targets: Tensor) -> Tensor:
    """Return the mean loss over all tokens."""
    return nn.functional.cross_entropy(values.flatten(0, 1), targets.flatten())


def plain_loop(model: nn.Module, pairs: Iterator[tuple[Tensor, Tensor]], loss_of: Callable[[Tensor, Tensor], Tensor]) -> Steps:
    """Return the least loop that trains in bf16: it reads each loss, after the step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)
    place = next(model.parameters()).device
    model.train()

    def run(steps: int) -> None:
        for _ in range(steps):
            inputs, targets = next(pairs)
            optimizer.zero_grad()
            with casting("bfloat16", place):
                loss = loss_of(inputs, targets)
            loss.backward()
            optimizer.step()
            loss.item()

    return run
