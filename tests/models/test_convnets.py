"""Where depth is in the families of convolutional networks, as people write them."""

from collections.abc import Callable

import pytest
import torch
from tests.modules import Chain
from torch import Tensor, nn
from torch.nn import functional as F

IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def numbered(prefix: str, count: int) -> list[str]:
    """Return numbered names."""
    return [f"{prefix}{index}" for index in range(count)]


def conv(inner: int, outer: int, stride: int = 1) -> nn.Conv2d:
    """Return a 3 × 3 convolution."""
    return nn.Conv2d(inner, outer, 3, stride, 1)


class Group(nn.Module):
    """Convolution, norm and a functional ReLU: one layer with what goes with it."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.conv, self.norm = conv(inner, outer), nn.BatchNorm2d(outer)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class DoubleConv(nn.Module):
    """The pair of convolutions that U-Nets are made of."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(conv(inner, outer), nn.BatchNorm2d(outer), nn.ReLU(inplace=True)),
            *(conv(outer, outer), nn.BatchNorm2d(outer), nn.ReLU(inplace=True)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Down(nn.Module):
    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.MaxPool2d(2), DoubleConv(inner, outer))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Up(nn.Module):
    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.up, self.conv = nn.ConvTranspose2d(inner, inner // 2, 2, 2), DoubleConv(inner, outer)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.conv(torch.cat([self.up(x), skip], 1))


class UNet(nn.Module):
    """Down, a bottom of another class, and up, in lists."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.down = nn.Conv2d(3, 4, 1), nn.ModuleList([Down(4, 8), Down(8, 16), Down(16, 32)])
        self.bottom, self.up = DoubleConv(32, 32), nn.ModuleList([Up(32, 16), Up(16, 8), Up(8, 4)])
        self.readout = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, skips = self.stem(x), []
        for down in self.down:
            skips.append(x)
            x = down(x)
        x = self.bottom(x)
        for up in self.up:
            x = up(x, skips.pop())
        return self.readout(x)


class UNetByName(nn.Module):
    """Down and up as attributes; the pair before them is the stem."""

    def __init__(self) -> None:
        super().__init__()
        self.inc, self.down1, self.down2 = DoubleConv(3, 4), Down(4, 8), Down(8, 16)
        self.up1, self.up2, self.outc = Up(16, 8), Up(8, 4), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.inc(x)
        second = self.down1(first)
        return self.outc(self.up2(self.up1(self.down2(second), second), first))


class Residual(nn.Module):
    """Two convolutions beside the input, or beside a projection of it."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(1, inner), conv(inner, outer)
        self.norm2, self.conv2 = nn.GroupNorm(1, outer), conv(outer, outer)
        self.shortcut = nn.Conv2d(inner, outer, 1) if inner != outer else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))


class Stage(nn.Module):
    """Residual blocks in a list, and perhaps a layer to the next stage; the outputs on the way go out as well."""

    def __init__(self, inner: int, outer: int, to_next: nn.Module | None = None) -> None:
        super().__init__()
        self.resnets, self.to_next = nn.ModuleList([Residual(inner, outer), Residual(outer, outer)]), to_next

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        outputs = []
        for block in self.resnets:
            x = block(x)
            outputs.append(x)
        return (x if self.to_next is None else self.to_next(x)), outputs


class Diffusion(nn.Module):
    """Stages of residual blocks down, in the middle, and up."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = conv(3, 4), conv(4, 3)
        self.down = nn.ModuleList([Stage(4, 8, conv(8, 8, 2)), Stage(8, 8, conv(8, 8, 2))])
        self.middle = Stage(8, 8)
        self.up = nn.ModuleList([Stage(8, 8, nn.ConvTranspose2d(8, 8, 2, 2)), Stage(8, 4, nn.ConvTranspose2d(4, 4, 2, 2))])

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for stage in (*self.down, self.middle, *self.up):
            x, _ = stage(x)
        return self.last(x)


class DenseLayer(nn.Module):
    """Takes all that was made before, and adds to it."""

    def __init__(self, inner: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.relu1, self.conv1 = nn.BatchNorm2d(inner), nn.ReLU(inplace=True), nn.Conv2d(inner, 2 * growth, 1)
        self.norm2, self.relu2, self.conv2 = nn.BatchNorm2d(2 * growth), nn.ReLU(inplace=True), conv(2 * growth, growth)

    def forward(self, made: list[Tensor]) -> Tensor:
        return self.conv2(self.relu2(self.norm2(self.conv1(self.relu1(self.norm1(torch.cat(made, 1)))))))


class DenseBlock(nn.ModuleDict):
    """A dictionary of layers with a forward pass of its own, as libraries have it."""

    def __init__(self, depth: int, inner: int, growth: int) -> None:
        super().__init__({f"layer{index + 1}": DenseLayer(inner + index * growth, growth) for index in range(depth)})

    def forward(self, x: Tensor) -> Tensor:
        made = [x]
        for layer in self.values():
            made.append(layer(made))
        return torch.cat(made, 1)


def dense_net(*plan: int) -> nn.Module:
    """Return dense blocks with transitions between them."""
    features, channels = nn.Sequential(), 8
    features.add_module("conv0", conv(3, channels))
    for index, depth in enumerate(plan, 1):
        features.add_module(f"block{index}", DenseBlock(depth, channels, 4))
        channels += 4 * depth
        if index < len(plan):
            parts = nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.Conv2d(channels, channels // 2, 1), nn.AvgPool2d(2)
            features.add_module(f"transition{index}", nn.Sequential(*parts))
            channels //= 2
    return Chain(features=features, norm=nn.BatchNorm2d(channels), pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())


class Basic(nn.Module):
    """The usual block, which adds in place and shares one ReLU."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inner, outer, stride), nn.BatchNorm2d(outer)
        self.conv2, self.bn2, self.relu = conv(outer, outer), nn.BatchNorm2d(outer), nn.ReLU(inplace=True)
        projection = nn.Conv2d(inner, outer, 1, stride), nn.BatchNorm2d(outer)
        self.downsample = nn.Sequential(*projection) if stride > 1 or inner != outer else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


def res_net(*plan: int) -> nn.Module:
    """Return stages of the usual blocks, each stage a Sequential."""
    stages, channels = {}, 4
    for index, depth in enumerate(plan):
        outer = 4 * 2**index
        blocks = [
            Basic(channels if first else outer, outer, 2 if first and index else 1) for first in [True] + [False] * (depth - 1)
        ]
        stages[f"layer{index + 1}"], channels = nn.Sequential(*blocks), outer
    stem = {"conv1": conv(3, 4), "bn1": nn.BatchNorm2d(4), "relu": nn.ReLU(inplace=True), "maxpool": nn.MaxPool2d(2)}
    return Chain(**stem, **stages, avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(channels, 3))


class BesideGroups(nn.Module):
    """A residual block whose branch is a Sequential of groups, with no shortcut to tell it from a stage."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(Group(4, 4), Group(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.layer(x))


class PlainStage(nn.Module):
    """Groups in a list and a pool: a chain, written as a module."""

    def __init__(self, inner: int, outer: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Group(outer if index else inner, outer) for index in range(depth))
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.pool(x)


class Inception(nn.Module):
    """Branches side by side, each its own way."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = Group(12, 4), nn.Sequential(Group(12, 4), Group(4, 4))
        self.three = nn.Sequential(nn.MaxPool2d(3, 1, 1), Group(12, 4))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.two(x), self.three(x)], 1)


def google_net() -> nn.Module:
    """Return a stem of groups, and modules with branches, with a pool between them."""
    stem = {f"conv{index}": Group(3 if index == 0 else 4, 12 if index == 2 else 4) for index in range(3)}
    return Chain(**stem, a3=Inception(), b3=Inception(), pool=nn.MaxPool2d(2), a4=Inception(), b4=Inception())


def conv_autoencoder() -> nn.Module:
    """Return an encoder and a decoder, each a flat Sequential."""
    down = [part for inner in (3, 4, 4) for part in (conv(inner, 4, 2), nn.ReLU())]
    up = [part for outer in (4, 4, 3) for part in (nn.ConvTranspose2d(4, outer, 2, 2), nn.ReLU())]
    return Chain(encoder=nn.Sequential(*down), decoder=nn.Sequential(*up[:-1], nn.Sigmoid()))


def generator() -> nn.Module:
    """Return a generator of images in one flat Sequential, its last layer with another activation."""
    layers: list[nn.Module] = []
    for inner in (3, 8, 8):
        layers += [nn.ConvTranspose2d(inner, 8, 4, 2, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh())


FOUND: dict[str, tuple[Callable[[], nn.Module], list[str]]] = {
    "U-Net": (UNet, [*numbered("down.", 3), "bottom", *numbered("up.", 3)]),
    "U-Net by name": (UNetByName, ["down1", "down2", "up1", "up2"]),
    "diffusion U-Net": (
        Diffusion, [f"{stage}.resnets.{index}" for stage in ("down.0", "down.1", "middle", "up.0", "up.1") for index in range(2)],
    ),
    "DenseNet": (
        lambda: dense_net(2, 3, 2), [f"features.block{b}.layer{i + 1}" for b, n in ((1, 2), (2, 3), (3, 2)) for i in range(n)],
    ),
    "DenseNet of one block": (lambda: dense_net(4), [f"features.block1.layer{index + 1}" for index in range(4)]),
    "ResNet": (lambda: res_net(2, 3, 2), [*numbered("layer1.", 2), *numbered("layer2.", 3), *numbered("layer3.", 2)]),
    "ResNet of single blocks": (lambda: res_net(1, 1, 1), [f"layer{stage}.0" for stage in (1, 2, 3)]),
    "groups beside the stream": (
        lambda: Chain(stem=conv(3, 4), blocks=nn.Sequential(*[BesideGroups() for _ in range(3)])), numbered("blocks.", 3),
    ),
    "groups beside the stream, in stages": (
        lambda: Chain(
            stem=conv(3, 4), stages=nn.ModuleList(nn.Sequential(*[BesideGroups() for _ in range(3)]) for _ in range(2))
        ),
        [*numbered("stages.0.", 3), *numbered("stages.1.", 3)],
    ),
    "plain stages": (
        lambda: Chain(stages=nn.ModuleList([PlainStage(3, 4, 2), PlainStage(4, 8, 3)]), head=conv(8, 2)),
        [*numbered("stages.0.layers.", 2), *numbered("stages.1.layers.", 3)],
    ),
    "GoogLeNet": (google_net, ["a3", "b3", "a4", "b4"]),
    "autoencoder": (conv_autoencoder, [*(f"encoder.{i}" for i in (0, 2, 4)), "decoder.0", "decoder.2"]),
    "generator": (generator, ["0", "3", "6"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_blocks_of_convolutional_networks(name: str, found: Callable[..., tuple[str, list[str]]]) -> None:
    """Stages are opened, stems and readouts left out, branches part of their block; all in the order in which they run."""
    build, expected = FOUND[name]
    assert found(build(), IMAGES) == ("blocks", expected)
