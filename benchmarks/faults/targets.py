"""A user's own file, as a preflight is given it; some of it is spoilt."""

import os
import time
from typing import Any

import torch
from torch import Tensor, nn

torch.manual_seed(0)
x, y = torch.randn(32, 16), torch.randint(0, 4, (32,))


def net(width: int = 16, depth: int = 6) -> nn.Sequential:
    """Return a small plain network."""
    return nn.Sequential(*[part for _ in range(depth) for part in (nn.Linear(width, width), nn.Tanh())], nn.Linear(width, 4))


class Waits(nn.Module):
    """A network that stands still in its forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, x: Tensor) -> Tensor:
        """Say that it waits, and wait."""
        print("waiting", flush=True)
        time.sleep(60)
        return self.net(x)


class Spoil(torch.autograd.Function):
    """The identity, whose gradient is spoilt."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        """Return the same numbers."""
        return x.clone()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        """Return what no optimizer should see."""
        return gradients[0] * float("nan")


class SpoilsGradients(nn.Module):
    """A network with a gradient that is not finite."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, x: Tensor) -> Tensor:
        """Return four numbers for each input."""
        return self.net[2:](Spoil.apply(self.net[:2](x)))


def wait() -> tuple[nn.Module, Any]:
    """Return a network that waits."""
    return Waits(), (x, y)


def well() -> tuple[nn.Module, Any]:
    """Return a network that is well."""
    return net(), (x, y)


def weights() -> tuple[nn.Module, Any]:
    """Return a network with a weight that is not finite."""
    model = net()
    with torch.no_grad():
        model[4].weight[0, 0] = float("inf")
    return model, (x, y)


def data() -> tuple[nn.Module, Any]:
    """Return a batch with a number that is not finite."""
    spoilt = x.clone()
    spoilt[3, 5] = float("nan")
    return net(), (spoilt, y)


def gradients() -> tuple[nn.Module, Any]:
    """Return a network with a gradient that is not finite."""
    return SpoilsGradients(), (x, y)


def large() -> tuple[nn.Module, Any]:
    """Return a batch of as many samples as the environment says."""
    samples = int(os.environ["SAMPLES"])
    return net(64, 40), (torch.randn(samples, 64), torch.randint(0, 4, (samples,)))
