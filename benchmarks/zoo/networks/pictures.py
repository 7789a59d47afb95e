"""Convolutional networks for 8×8 pictures: plain, residual, dense, U-Net."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.zoo.networks.plain import ACTIVATIONS


def plain(depth: int, activation: str = "relu", *, norm: bool = False, channels: int = 12) -> nn.Sequential:
    """Return `depth` convolutions of 3×3, a mean over the picture, and a readout."""
    layers: list[nn.Module] = []
    for index in range(depth):
        layers.append(nn.Conv2d(1 if index == 0 else channels, channels, 3, padding=1, stride=2 if index == 1 else 1))
        if norm:
            layers.append(nn.BatchNorm2d(channels))
        layers.append(ACTIVATIONS[activation]())
    pooled = channels * (16 if depth > 1 else 64)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(pooled, 10))


class BasicBlock(nn.Module):
    """relu(x + branch(x)), with two convolutions and batch norm, or without the norm."""

    def __init__(self, channels: int, *, norm: bool, zero_gain: bool, scale: float) -> None:
        super().__init__()
        make: Callable[[int], nn.Module] = nn.BatchNorm2d if norm else nn.Identity
        self.conv1, self.bn1 = nn.Conv2d(channels, channels, 3, padding=1, bias=not norm), make(channels)
        self.conv2, self.bn2 = nn.Conv2d(channels, channels, 3, padding=1, bias=not norm), make(channels)
        if zero_gain and isinstance(self.bn2, nn.BatchNorm2d):
            nn.init.zeros_(self.bn2.weight)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(x + self.scale * y)


class ResNet(nn.Module):
    """A stem, basic blocks at 4×4, a readout."""

    def __init__(self, depth: int, channels: int = 12, *, norm: bool = True, zero_gain: bool = False, scale: float = 1.0) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*(BasicBlock(channels, norm=norm, zero_gain=zero_gain, scale=scale) for _ in range(depth)))
        self.fc = nn.Linear(channels * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.blocks(torch.relu(self.stem(x))).flatten(1))


class DenseNet(nn.Module):
    """Each layer sees what all layers before it made: norm, relu, convolution, concatenation."""

    def __init__(self, depth: int, growth: int = 6, *, norm: bool = True) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 12, 3, stride=2, padding=1)
        layers = []
        for index in range(depth):
            channels = 12 + growth * index
            before = nn.BatchNorm2d(channels) if norm else nn.Identity()
            layers.append(nn.Sequential(before, nn.ReLU(), nn.Conv2d(channels, growth, 3, padding=1)))
        self.layers = nn.ModuleList(layers)
        self.out = nn.Linear((12 + growth * depth) * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = torch.cat([x, layer(x)], dim=1)
        return self.out(x.flatten(1))


class UNet(nn.Module):
    """Down, a deep middle, up, with or without the bridge that carries the picture across."""

    def __init__(self, depth: int, activation: str = "relu", *, bridge: bool = True, norm: bool = False) -> None:
        super().__init__()
        self.enter = nn.Conv2d(1, 8, 3, padding=1)
        self.down = nn.Conv2d(8, 16, 2, stride=2)
        middle: list[nn.Module] = []
        for _ in range(depth):
            middle += [nn.Conv2d(16, 16, 3, padding=1), *([nn.BatchNorm2d(16)] if norm else []), ACTIVATIONS[activation]()]
        self.middle = nn.Sequential(*middle)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.leave = nn.Conv2d(16 if bridge else 8, 1, 3, padding=1)
        self.phi, self.bridge = ACTIVATIONS[activation](), bridge

    def forward(self, x: Tensor) -> Tensor:
        early = self.phi(self.enter(x))
        late = self.phi(self.up(self.middle(self.phi(self.down(early)))))
        return self.leave(torch.cat([early, late], dim=1) if self.bridge else late)
