"""Counting what depth can do: constructions against a random start."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from fathometer.data import tent
from fathometer.instruments import pieces_on_line
from fathometer.networks import build
from fathometer.spec import Mlp
from fathometer.theory import ReluStack, shallow_sawtooth, tent_network, units_for_sawtooth


def construct(folds: int) -> dict[str, Any]:
    """Return the pieces and the largest error of the tent network, and what one layer that equals it takes."""
    deep, shallow = tent_network(folds), shallow_sawtooth(folds)
    x = np.arange(2 ** (folds + 1) + 1) / 2 ** (folds + 1)
    found = pieces_on_line(module_of(deep), torch.zeros(1), torch.ones(1))
    error = max(float(np.abs(network(x) - tent(x, folds)).max()) for network in (deep, shallow))
    assert shallow.num_units == units_for_sawtooth(folds)
    sizes = {"deep_units": deep.num_units, "deep_parameters": deep.num_parameters}
    sizes |= {"shallow_units": shallow.num_units, "shallow_parameters": shallow.num_parameters}
    return {"pieces": found.count, "largest_error": error, **sizes}


def count_at_start(depth: int, units: int, seed: int) -> dict[str, Any]:
    """Return the pieces along a line of a network as He starts it, with `units` ReLUs in `depth` layers of equal width."""
    model = build(Mlp(depth=depth, width=units // depth, inputs=8, outputs=1, bias_std=0.3), seed=seed)
    start, end = torch.randn(2, 8, generator=torch.Generator().manual_seed(seed), device="cpu") * 3
    return {"pieces": pieces_on_line(model, start, end).count}


def module_of(stack: ReluStack) -> nn.Sequential:
    """Return a construction as a torch module in float64."""
    layers: list[nn.Module] = []
    for weight, bias in zip(stack.weights, stack.biases, strict=True):
        linear = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.copy_(torch.from_numpy(bias))
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def equal_width(parameters: int, shape: Mapping[str, Any]) -> int:
    """Return the width at which an MLP of this shape has at most so many parameters, at least 1."""
    from fathometer.scaling import num_parameters

    low, high = 1, max(2, parameters)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if num_parameters(Mlp(width=middle, **shape)) <= parameters else (low, middle)
    return low
