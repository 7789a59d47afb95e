"""Modules as users write them, for the tests of several rooms."""

from math import sqrt

import torch
from torch import Tensor, nn

RUN_OUT = f"DefaultCPUAllocator: can't allocate memory: you tried to allocate {2**60} bytes."  # as torch says it


class Chain(nn.Module):
    """Parts in a row, by way of `forward`; lists are walked through."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the last part returns."""
        return in_turn(self, x)


def in_turn(module: nn.Module, x: Tensor) -> Tensor:
    """Run the parts of a module in the order in which they are held, and those of lists within."""
    for part in module._modules.values():
        x = in_turn(part, x) if isinstance(part, nn.ModuleList) else part(x)
    return x


class Residual(nn.Module):
    """A residual stack without norm: x + α W relu(x)."""

    def __init__(self, depth: int, scale: float) -> None:
        super().__init__()
        self.stem, self.head, self.scale = nn.Linear(64, 64), nn.Linear(64, 10), scale
        self.up = nn.ModuleList(_he_layer() for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        """Return ten numbers for each sample."""
        x = self.stem(x)
        for layer in self.up:
            x = x + self.scale * layer(torch.relu(x))
        return self.head(x)


def _he_layer() -> nn.Linear:
    layer = nn.Linear(64, 64)
    nn.init.normal_(layer.weight, std=sqrt(2 / 64))
    return layer


class Hungry(nn.Module):
    """A network that takes so many samples at once, and no more."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.last = most, nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return three numbers for each sample."""
        if len(x) > self.most:
            raise RuntimeError(RUN_OUT)
        return self.last(x)
