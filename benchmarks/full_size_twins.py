"""Sick networks at full size, and narrow twins as deep that were really trained: is the same found?"""

from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any

import torch
from torch import nn

from benchmarks.zoo.truth import run_loss, truth_of
from fathometer import build, preflight
from fathometer.diagnosis.full_size.answer import preflight_full_size, unmade_of
from fathometer.diagnosis.own_batch import own_data
from fathometer.implicit import ImplicitWeight
from fathometer.spec import Transformer, preset

WIDE_GPT, NARROW_GPT = "gpt3-175b@depth=24", "gpt3-175b@depth=24,width=64,vocabulary=16,context=8"
# GPT's fixed standard deviation gives a narrow matrix a smaller gain; so much larger, each layer has that of the wide one.
GAIN_KEPT = (12288 / 64) ** 0.5
WIDE_MLP, NARROW_MLP = "relu-50@width=16384", "relu-50@width=64"
STEPS, RATES = {"gpt": 40, "mlp": 100}, (1e-3, 4e-3)
Plant = Callable[[nn.Module], None]


def scaled(pattern: str, factor: float) -> Plant:
    """Return what multiplies the matrices whose names hold a word, made or not."""

    @torch.no_grad()
    def plant(model: nn.Module) -> None:
        for name, parameter in model.named_parameters():
            if any(word in name for word in pattern.split("|")) and parameter.ndim > 1:
                if isinstance(parameter, ImplicitWeight):
                    parameter.matrix.std *= factor
                else:
                    parameter.mul_(factor)

    return plant


# What is wrong: how the preset is changed, and what is planted in the weights.
NETWORKS: dict[str, tuple[str, str, Plant | None]] = {
    "GPT-3 175B as it is": ("gpt", "", None),
    "DeepNorm": ("gpt", "residual=deepnorm", None),
    "ReZero": ("gpt", "residual=rezero", None),
    "post-norm": ("gpt", "residual=post-norm", None),
    "post-norm, LeCun's start": ("gpt", "residual=post-norm,init=lecun,tied=false", None),
    "no norm": ("gpt", "residual=plain", None),
    "no norm, branches × 30": ("gpt", "residual=plain,branch_scale=30", None),
    "pre-norm, branches × 30": ("gpt", "branch_scale=30", None),
    "queries and keys × 40": ("gpt", "", scaled("query|key", 40.0)),
    "readout × 300": ("gpt", "tied=false", scaled("readout", 300.0)),
    "stream × 10,000": ("gpt", "", scaled("embedding|positions", 1e4)),
    "perceptron, ReLU, He": ("mlp", "", None),
    "perceptron, ReLU, Xavier": ("mlp", "init=xavier", None),
    "perceptron, ReLU, He × 2": ("mlp", "gain=2", None),
    "perceptron, tanh, LeCun × 3": ("mlp", "activation=tanh,init=lecun,gain=3", None),
    "perceptron, sigmoid, LeCun": ("mlp", "activation=sigmoid,init=lecun", None),
    "perceptron, pre-norm": ("mlp", "residual=pre-norm", None),
}


def full_size_twins() -> list[dict[str, Any]]:
    """Return one row for each network: verdict and first cause at full size and of the twin, and what training made of the twin.

    The twin trains if it reaches 90% of the healthy one's drop under the best blind loss, and fails under half of it.
    """
    torch.set_num_threads(1)
    best = {"gpt": _drop("gpt", "", None), "mlp": _drop("mlp", "residual=pre-norm", None)}
    return [_row(name, *entry, best) for name, entry in NETWORKS.items()]


def _row(name: str, family: str, change: str, plant: Plant | None, best: dict[str, float]) -> dict[str, Any]:
    wide = unmade_of(_target(family, change, wide=True), tokens=16)
    if plant is not None:
        plant(wide.model)
    full, narrow = preflight_full_size(wide), preflight(_twin(family, change, plant), _data(family, change)[0])
    share = max(_drop(family, change, plant) / best[family], 0.0)
    row = {
        "network": name,
        "full size": full.verdict,
        "found": full.findings[0].cause if full.findings else None,
        "twin": narrow.verdict,
        "found in the twin": narrow.findings[0].cause if narrow.findings else None,
        "drop": round(min(share, 9.99), 2),
        "trained": truth_of(share),
    }
    print(row, flush=True)
    return row


def _target(family: str, change: str, *, wide: bool) -> str:
    base = (WIDE_GPT if wide else NARROW_GPT) if family == "gpt" else (WIDE_MLP if wide else NARROW_MLP)
    return base if not change else base + ("," if "@" in base else "@") + change


def _twin(family: str, change: str, plant: Plant | None) -> nn.Module:
    model = build(_target(family, change, wide=False))
    if family == "gpt" and "init=" not in change:
        scaled("blocks", GAIN_KEPT)(model)
    if plant is not None:
        plant(model)
    return model


def _data(family: str, change: str) -> list[Any]:
    spec = preset(_target(family, change, wide=False))
    return own_data(replace(spec, residual="pre-norm") if isinstance(spec, Transformer) else spec)


def _drop(family: str, change: str, plant: Plant | None) -> float:
    """Return how far under the best constant answer the best rate brings the loss, over that answer's; held out."""
    *train, held_out = _data(family, change)
    counts = torch.bincount(held_out[1].reshape(-1)).double()
    blind = float(-(counts / counts.sum() * (counts / counts.sum()).clamp(min=1e-12).log()).sum())
    return 1 - min(_final(_twin(family, change, plant), train, held_out, STEPS[family], rate) for rate in RATES) / blind


def _final(model: nn.Module, train: list[Any], held_out: Any, steps: int, rate: float) -> float:
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    for step in range(steps):
        loss = run_loss(model, train[step % len(train)])
        if not bool(torch.isfinite(loss)):
            return inf
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        return float(run_loss(model, held_out))
