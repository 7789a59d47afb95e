"""What a layer costs: time and kept activations from 6 to 96 layers."""

from collections.abc import Callable
from time import process_time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fathometer.networks import build
from fathometer.spec import ConvNet, Transformer
from fathometer.training import recomputing
from fathometer.training.batch import answer

Row = dict[str, Any]
DEPTHS = (6, 12, 24, 48, 96)
ROUNDS = 7  # each depth once a round, so that what else the machine does falls on all of them


def depth_cost() -> list[Row]:
    """Return one row for each family and depth: CPU time of forward and backward, bytes kept between them, and √L's price.

    `layer_ms` is the time of each layer added since the row before, least of all rounds; `layer_spread` the largest of these
    over the smallest, less 1. `kept_mb` are the activations that the forward pass keeps, `kept_bend` their largest deviation
    from a line over depth. `sqrt_kept_mb` are those with √L checkpointing, the last segment's among them: as much as is ever
    kept at once. `sqrt_slope` is of log bytes in the blocks over log depth; `sqrt_time` the median of ratios within a round.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return [row for name, make in FAMILIES.items() for row in _family(name, make)]


def _transformer(depth: int) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    tokens = torch.randint(256, (2, 129))
    spec = Transformer(depth=depth, width=128, heads=4, vocabulary=256, context=128)
    return build(spec), (tokens[:, :-1], tokens[:, 1:])


def _convnet(blocks: int) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    spec = ConvNet(depth=2 * blocks + 2, width=32, image_size=32)
    return build(spec), (torch.randn(8, 3, 32, 32), torch.randint(10, (8,)))


Make = Callable[[int], tuple[nn.Module, tuple[Tensor, Tensor]]]
FAMILIES: dict[str, Make] = {"transformer": _transformer, "convnet": _convnet}


def _family(name: str, make: Make) -> list[Row]:
    cases = {depth: make(depth) for depth in DEPTHS}
    times = {(depth, how): list[float]() for depth in DEPTHS for how in (None, "sqrt")}
    for model, batch in cases.values():
        _seconds(model, batch, None)  # the first pass of a size also makes its memory
    for _ in range(ROUNDS):
        for (depth, how), found in times.items():
            found.append(_seconds(*cases[depth], how))
    kept = {depth: _kept_bytes(*case, None) for depth, case in cases.items()}
    kept_sqrt = {depth: _kept_bytes(*case, "sqrt") for depth, case in cases.items()}
    best = [min(times[depth, None]) for depth in DEPTHS]
    added = np.diff(best) / np.diff(DEPTHS)
    one = (kept[DEPTHS[-1]] - kept[DEPTHS[0]]) / (DEPTHS[-1] - DEPTHS[0])
    outside = kept[DEPTHS[0]] - one * DEPTHS[0]
    shared = {
        "layer_spread": float(max(added) / min(added) - 1),
        "kept_bend": max(abs(kept[depth] / (outside + one * depth) - 1) for depth in DEPTHS),
        "sqrt_slope": float(np.polyfit(np.log(DEPTHS), np.log([kept_sqrt[depth] - outside for depth in DEPTHS]), 1)[0]),
    }
    return [
        {
            "family": name,
            "blocks": depth,
            "cpu_ms": 1e3 * best[index],
            "layer_ms": None if index == 0 else float(1e3 * added[index - 1]),
            "sqrt_time": float(np.median(np.divide(times[depth, "sqrt"], times[depth, None]))),
            "kept_mb": kept[depth] / 1e6,
            "sqrt_kept_mb": kept_sqrt[depth] / 1e6,
            **shared,
        }
        for index, depth in enumerate(DEPTHS)
    ]


def _seconds(model: nn.Module, batch: Any, how: str | None) -> float:
    model.zero_grad()
    with recomputing(model, how):
        start = process_time()
        answer(model, batch)[1].backward()
        return process_time() - start


def _kept_bytes(model: nn.Module, batch: Any, how: str | None) -> int:
    """Return the bytes that a forward pass keeps for its backward pass; weights and the same memory again do not count."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with recomputing(model, how), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = answer(model, batch)[1]
    assert loss.requires_grad  # and what was kept is still alive, so that no memory was counted for two
    return sum(kept.values())
