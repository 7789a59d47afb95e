"""Shattered gradients: what theory says of neighbours, and what networks show."""

from math import acos, pi, prod, sqrt

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.instruments import DepthPoint
from fathometer.instruments.shattering import gradient_reach
from fathometer.theory.maps import length_map, slope

WIDTH, DEPTH, SAMPLES = 1024, 12, 64
FIRST = DepthPoint("0", ("0",))
DISTANCES = (0.5, 0.1, 0.01)


class Plain(nn.Module):
    """relu(W x) with He's matrix and no bias, or W x."""

    def __init__(self, is_linear: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(WIDTH, WIDTH) * sqrt((1 if is_linear else 2) / WIDTH))
        self.is_linear = is_linear

    def forward(self, x: Tensor) -> Tensor:
        x = F.linear(x, self.weight)
        return x if self.is_linear else x.relu()


class Residual(nn.Module):
    """x + W relu(x) with He's matrix: a branch as strong as the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(WIDTH, WIDTH) * sqrt(2 / WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return x + F.linear(x.relu(), self.weight)


def slope_kernel(correlation: float) -> float:
    """Return how often two units are on together, over how often one is: (π - arccos c)/π."""
    return (pi - acos(correlation)) / pi


def relu_correlation(correlation: float) -> float:
    """Return the correlation behind a ReLU."""
    return (sqrt(1 - correlation**2) + correlation * (pi - acos(correlation))) / pi


def plain_theory(correlation: float) -> float:
    """Return Π k₀(c_l), c going on as it does behind ReLUs."""
    kernels = []
    for _ in range(DEPTH):
        kernels.append(slope_kernel(correlation))
        correlation = relu_correlation(correlation)
    return prod(kernels)


def residual_theory(correlation: float) -> float:
    """Return Π (1 + k₀(c_l))/2, c going on as the mean of the stream's and the branch's."""
    kernels = []
    for _ in range(DEPTH):
        kernels.append((1 + slope_kernel(correlation)) / 2)
        correlation = (correlation + relu_correlation(correlation)) / 2
    return prod(kernels)


def measured(make: type[nn.Module], *options: bool, seeds: int = 3) -> list[float]:
    """Return the mean correlations of the gradients over some networks, one for each distance."""
    means = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        model = nn.Sequential(*[make(*options) for _ in range(DEPTH)])
        found = gradient_reach(model, torch.randn(SAMPLES, WIDTH), FIRST, distances=DISTANCES, seed=seed)
        assert found is not None
        means.append(torch.tensor(found.correlations))
    return torch.stack(means).mean(dim=0).tolist()


def test_plain_relu_networks_shatter_as_theory_says() -> None:
    """Π k₀(c_l) for a plain network; and not Balduzzi's idealised 2⁻ᴸ, which takes all inputs for far apart."""
    theory = [plain_theory(1 - distance) for distance in DISTANCES]

    # One cosine of 1024 entries through 12 random layers is off by about √(12/1024) = 0.1; here the mean of 48 neighbours
    # in three networks, of which those in one network are not independent.
    assert measured(Plain) == pytest.approx(theory, abs=0.05)
    assert theory[0] > 20 * 2.0**-DEPTH


def test_residual_networks_shatter_less() -> None:
    """Π (1 + k₀(c_l))/2 with a stream: at the same depth and distance far more of the gradient is left."""
    theory = [residual_theory(1 - distance) for distance in DISTANCES]

    assert measured(Residual) == pytest.approx(theory, abs=0.05)
    assert all(
        with_stream > without + 0.1 for with_stream, without in zip(theory, map(plain_theory, (0.5, 0.9, 0.99)), strict=True)
    )


def test_without_an_activation_nothing_shatters() -> None:
    """The control: the gradient of a linear network is the same everywhere."""
    assert measured(Plain, True, seeds=1) == pytest.approx([1.0] * len(DISTANCES), abs=1e-6)


def reach(gain: float, depth: int) -> float:
    """Return the reach of a tanh network, bias variance 0.05, the geometric mean of two seeds."""
    found = []
    for seed in range(2):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for _ in range(depth):
            layer = nn.Linear(512, 512)
            nn.init.normal_(layer.weight, std=gain / sqrt(512))
            nn.init.normal_(layer.bias, std=sqrt(0.05))
            layers += [layer, nn.Tanh()]
        found.append(gradient_reach(nn.Sequential(*layers), torch.randn(SAMPLES, 512), FIRST))
    first, second = found
    assert first is not None
    assert second is not None
    return sqrt(first.reach * second.reach)


def test_chaos_shrinks_the_reach_by_the_slope_in_every_layer() -> None:
    """The distance of two inputs grows by χ₁ a layer, so the reach of a gradient falls by it; at the edge, hardly.

    Poole et al. 2016, "Exponential expressivity in deep neural networks through transient chaos".
    """
    length = 1.0
    for _ in range(200):
        length = float(length_map("tanh", length, 4.0, 0.05))
    chaotic, edge = [(reach(gain, 12) / reach(gain, 24)) ** (1 / 12) for gain in (2.0, sqrt(1.76095))]

    # One seed spreads by 0.02 here, and distances are a decade apart.
    assert chaotic == pytest.approx(float(slope("tanh", length, 4.0)), abs=0.05)
    assert edge < 1.1
