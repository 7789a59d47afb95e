"""One, 5, 50 and 96 layers: what theory says of each, and what is measured; drawn into docs/depths.png."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fathometer import preflight
from fathometer.depth_profile import DepthProfile
from fathometer.figures import depth_chart, save, small_multiples
from fathometer.networks import build
from fathometer.spec import ConvNet, Mlp, Transformer, preset
from fathometer.theory import forecast

PICTURE = Path(__file__).parents[1] / "docs" / "depths.png"
COLUMNS = ("signal", "gradient")
NETWORKS = {
    "1 layer": "shallow-1",
    "5 layers": "mlp-5",
    "50 layers": "resnet-50@image_size=64",
    "96 layers": "gpt3-175b@width=128",
}
BATCH, TOKENS = 32, 128
TITLE = "From one layer to 96"
SUBTITLE = [
    "At the start, before any training. Grey: forecast from the specification alone, with its band for networks of this width.",
    "Dots: one network of each kind, built and measured.",
]


def depth_figure() -> list[dict[str, Any]]:
    """Return one row for each network and column: how many blocks are inside the band, and the largest factor off."""
    rows, columns = [], []
    for title, name in NETWORKS.items():
        expected, measured = both(name)
        charts = [depth_chart(column, [("measured", measured)], expected) for column in COLUMNS]
        columns.append((title, name, charts))
        rows += [compare(name, column, expected, measured) for column in COLUMNS]
    save(small_multiples(columns, TITLE, SUBTITLE), PICTURE)
    return rows


def both(name: str) -> tuple[DepthProfile, DepthProfile]:
    """Return the forecast of a preset, and what a network of it shows for random inputs."""
    spec, generator = preset(name), torch.Generator().manual_seed(1000)  # not the network's seed: inputs must not be its weights
    inputs, targets = batch_for(spec, generator)
    tokens = inputs.shape[1] if isinstance(spec, Transformer) else None
    expected = forecast(spec, num_inputs=len(inputs), num_tokens=tokens)
    return expected, preflight(build(spec, seed=0), (inputs, targets), layers=["blocks.?", "blocks.??"]).profile


def batch_for(spec: Mlp | ConvNet | Transformer, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return random inputs that the network takes, and targets."""
    if isinstance(spec, Transformer):
        text = torch.randint(0, spec.vocabulary, (4, TOKENS + 1), generator=generator)
        return text[:, :-1], text[:, 1:]
    if isinstance(spec, ConvNet):
        shape, classes = (BATCH, spec.channels, spec.side, spec.side), spec.classes
    else:
        shape, classes = (BATCH, spec.inputs), spec.outputs
    return torch.randn(shape, generator=generator), torch.randint(0, classes, (BATCH,), generator=generator)


def compare(name: str, column: str, expected: DepthProfile, measured: DepthProfile) -> dict[str, Any]:
    """Return how many blocks lie in the band, and by which factor the worst is off the forecast."""
    low, high = np.array(expected.low[column], float), np.array(expected.high[column], float)
    values, forecasts = np.array(measured.column(column), float), np.array(expected.column(column), float)
    inside = (values >= low * (1 - 1e-6)) & (values <= high * (1 + 1e-6))  # the last gradient is 1, and so is its band
    factor = float(np.exp(np.abs(np.log(values / forecasts)).max()))
    return {"network": name, "column": column, "blocks": len(values), "inside_band": int(inside.sum()), "worst_factor": factor}
