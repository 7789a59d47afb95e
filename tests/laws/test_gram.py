"""Can samples be told apart? Per-sample gradients of wide networks against theory."""

from math import acos, log, pi, sqrt

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.instruments.per_sample import gradient_gram

SAMPLES = 8


class Relu(nn.Module):
    """He-ReLU layers without biases, and a linear readout."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        layers = [nn.Linear(width, width, bias=False) for _ in range(depth)]
        for layer in layers:
            nn.init.normal_(layer.weight, std=sqrt(2 / width))
        self.layers, self.readout = (
            nn.Sequential(*[m for layer in layers for m in (layer, nn.ReLU())]),
            nn.Linear(width, 4, bias=False),
        )
        nn.init.normal_(self.readout.weight, std=sqrt(2 / width))

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.layers(x))


def tangent_cosine(correlation: float, depth: int) -> float:
    """Return the cosine of two gradients: the mean over layers of c_l Π k₀(c_k), k from l on (Jacot et al. 2018).

    Every layer has the same share, as He's matrices keep lengths both ways.
    """
    correlations = [correlation]
    for _ in range(depth):
        c = correlations[-1]
        correlations.append((sqrt(1 - c**2) + c * (pi - acos(c))) / pi)
    total, product = 0.0, 1.0
    for layer in range(depth, -1, -1):
        product *= (pi - acos(correlations[layer])) / pi if layer < depth else 1.0
        total += correlations[layer] * product
    return total / (depth + 1)


@pytest.mark.parametrize("depth", [2, 8])
def test_relu_gradients_have_the_cosines_of_the_tangent_kernel(depth: int) -> None:
    """At width 512 the mean cosine of two gradients is that of the kernel at infinite width, at input correlation 0.3."""
    means = []
    for seed in range(5):
        torch.manual_seed(seed)
        common = torch.randn(512)
        inputs = sqrt(0.3) * common + sqrt(0.7) * torch.randn(SAMPLES, 512)
        means.append(gradient_gram(Relu(depth, 512), (inputs, None), seed=seed).mean_cosine)
    # Relative fluctuations of the kernel at finite width are about √(depth/width) = 0.12 for one network.
    assert sum(means) / len(means) == pytest.approx(tangent_cosine(0.3, depth), abs=0.05)


def log_spread(weight_variance: float, depth: int) -> float:
    """Return the log of the spread of the gradients of a tanh network, bias variance 0.05."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(depth):
        layer = nn.Linear(256, 256).double()
        nn.init.normal_(layer.weight, std=sqrt(weight_variance / 256))
        nn.init.normal_(layer.bias, std=sqrt(0.05))
        layers += [layer, nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(256, 4).double())
    found = gradient_gram(model, (torch.randn(SAMPLES, 256).double(), None))
    assert found.spread is not None
    return float(torch.tensor(found.spread).log())


def test_order_draws_gradients_together_by_the_slope_in_every_layer() -> None:
    """In the ordered phase of tanh the spread shrinks by χ₁ = 0.759 a layer (σ_w² = 1, σ_b² = 0.05), at the edge hardly.

    Xiao et al. 2020, "Disentangling trainability and generalization in deep neural networks": the condition number of the
    tangent kernel grows like depth⁻¹ χ₁^-depth.
    """
    ordered, edge = [(log_spread(variance, 45) - log_spread(variance, 25)) / 20 for variance in (1.0, 1.76095)]

    # From 25 to 45 layers the power of depth in front bends the slope by at most log(45/25)/20 = 0.03.
    assert ordered == pytest.approx(torch.tensor(0.75903).log().item(), abs=0.04)
    assert edge > -0.06


def learnt(weight_variance: float) -> float:
    """Return the loss over log 2 after 300 steps of SGD on eight samples of two classes, under 60 tanh layers."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(60):
        layer = nn.Linear(64, 64)
        nn.init.normal_(layer.weight, std=sqrt(weight_variance / 64))
        nn.init.normal_(layer.bias, std=sqrt(0.05))
        layers += [layer, nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(64, 2))
    inputs, targets = torch.randn(SAMPLES, 64), torch.arange(SAMPLES) % 2
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03)
    for _ in range(300):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
    return float(loss.detach()) / log(2)


def test_equal_gradients_learn_no_difference() -> None:
    """Where samples have one gradient, two classes of equal size stay at log 2; at the edge, the control, they part."""
    assert learnt(1.0) > 0.95
    assert learnt(1.76095) < 0.5
