"""No false alarms: sound designs that look odd at the start are found healthy, for three seeds each."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer import ConvNet, Mlp, build, preflight
from fathometer.data import digits

DATA = digits()
INPUTS, CLASSES = DATA.train_inputs[:64], DATA.train_targets[:64]
PICTURES = INPUTS.reshape(-1, 1, 8, 8)
WIDTH = 64


class Branch(nn.Module):
    """A residual block whose branch is silent at first, in one of five ways."""

    def __init__(self, kind: str, depth: int) -> None:
        super().__init__()
        self.kind = kind
        self.up, self.down = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH) if kind in ("zero output", "LayerScale") else nn.Identity()
        self.last = nn.BatchNorm1d(WIDTH) if kind == "zero gain" else nn.Identity()
        self.scale = nn.Parameter(torch.full((WIDTH,), {"ReZero": 0.0, "LayerScale": 1e-5}.get(kind, 1.0)))
        if kind == "zero gain":
            nn.init.zeros_(self.last.weight)
        if kind in ("zero output", "Fixup"):
            nn.init.zeros_(self.down.weight)
            nn.init.zeros_(self.down.bias)
        if kind == "Fixup":
            nn.init.normal_(self.up.weight, std=(2 / WIDTH / depth) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.scale * self.last(self.down(F.relu(self.up(self.norm(x)))))
        return F.relu(x) if self.kind in ("zero gain", "Fixup") else x


class Residual(nn.Module):
    """A stem, blocks with silent branches, and a readout, which may be 0."""

    def __init__(self, kind: str, depth: int = 12) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(64, WIDTH), nn.Linear(WIDTH, 10)
        self.blocks = nn.ModuleList(Branch(kind, depth) for _ in range(depth))
        if kind == "Fixup":
            nn.init.zeros_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Encoder(nn.Module):
    """torch's post-norm encoder layers over the rows of a picture."""

    def __init__(self, depth: int = 4, width: int = 32) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(8, width), nn.Linear(width, 10)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True) for _ in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.reshape(-1, 8, 8))
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1))


class Dense(nn.Module):
    """Layers that each see all before them, as in a DenseNet."""

    def __init__(self, depth: int = 8, growth: int = 8) -> None:
        super().__init__()
        widths = [16 + growth * index for index in range(depth + 1)]
        self.stem, self.head = nn.Conv2d(1, widths[0], 3, padding=1), nn.Linear(widths[-1], 10)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, growth, 3, padding=1)) for width in widths[:-1]
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = torch.cat((x, layer(x)), 1)
        return self.head(F.relu(x).mean((2, 3)))


def _two_convolutions(inputs: int, outputs: int) -> nn.Sequential:
    first, second = nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU())


class UNet(nn.Module):
    """Two steps down, two steps up, and a way across at each height."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList((_two_convolutions(1, 8), _two_convolutions(8, 16)))
        self.middle, self.head = _two_convolutions(16, 32), nn.Conv2d(8, 1, 1)
        self.up = nn.ModuleList((nn.ConvTranspose2d(32, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)))
        self.join = nn.ModuleList((_two_convolutions(32, 16), _two_convolutions(16, 8)))

    def forward(self, x: Tensor) -> Tensor:
        across = []
        for down in self.down:
            across.append(down(x))
            x = F.max_pool2d(across[-1], 2)
        x = self.middle(x)
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat((up(x), across.pop()), 1))
        return self.head(x)


class Recurrent(nn.Module):
    """A GRU over sixty steps, torch's own or cell by cell."""

    def __init__(self, by_cell: bool) -> None:
        super().__init__()
        self.gru = nn.GRUCell(1, 32) if by_cell else nn.GRU(1, 32, batch_first=True)
        self.head, self.by_cell = nn.Linear(32, 10), by_cell

    def forward(self, x: Tensor) -> Tensor:
        if not self.by_cell:
            return self.head(self.gru(x[:, :60, None])[0][:, -1])
        state = x.new_zeros(len(x), 32)
        for step in range(60):
            state = self.gru(x[:, step, None], state)
        return self.head(state)


def autoencoder(activation: type[nn.Module], *widths: int) -> nn.Module:
    """Return linear layers through these widths, as torch starts them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1])


def plain(activation: type[nn.Module], depth: int, weight: float, bias: float = 0.0, width: int = WIDTH) -> nn.Module:
    """Return a plain network with Gaussian weights and biases of these variances (of weights times the inputs)."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layer = nn.Linear(layers[-2].out_features if layers else 64, width)
        nn.init.normal_(layer.weight, std=(weight / layer.in_features) ** 0.5)
        nn.init.normal_(layer.bias, std=bias**0.5)
        layers += [layer, activation()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def mup_readout_at_zero() -> nn.Module:
    """Return a network under μP whose readout starts at 0."""
    model = build(Mlp(depth=6, width=128, base_width=64, init="mup"))
    nn.init.zeros_(model.readout.weight)
    return model


SOUND: dict[str, tuple[Callable[[], nn.Module], Tensor, Tensor]] = {
    **{kind: (lambda kind=kind: Residual(kind), INPUTS, CLASSES)
       for kind in ("zero gain", "zero output", "ReZero", "LayerScale", "Fixup")},
    "ReZero, 50 blocks": (lambda: Residual("ReZero", 50), INPUTS, CLASSES),
    "LayerScale, 30 blocks": (lambda: Residual("LayerScale", 30), INPUTS, CLASSES),
    "Fixup, 30 blocks": (lambda: Residual("Fixup", 30), INPUTS, CLASSES),
    "a μP readout at zero": (mup_readout_at_zero, INPUTS, CLASSES),
    "post-norm, four layers": (Encoder, INPUTS, CLASSES),
    "DenseNet": (Dense, PICTURES, CLASSES),
    "U-Net": (UNet, PICTURES, PICTURES),
    "bottleneck of 8": (lambda: autoencoder(nn.ReLU, 64, 32, 8, 32, 64), INPUTS, INPUTS),
    "bottleneck of 4, tanh, six layers": (lambda: autoencoder(nn.Tanh, 64, 32, 16, 4, 16, 32, 64), INPUTS, INPUTS),
    "bottleneck of 8, six layers": (lambda: autoencoder(nn.ReLU, 64, 32, 16, 8, 16, 32, 64), INPUTS, INPUTS),
    "SELU, forty layers": (lambda: plain(nn.SELU, 40, 1.0), INPUTS, CLASSES),
    "SELU, forty layers, wide": (lambda: plain(nn.SELU, 40, 1.0, width=128), INPUTS, CLASSES),
    "critical tanh, sixty layers": (lambda: plain(nn.Tanh, 60, 1.76095, 0.05), INPUTS, CLASSES),
    "critical tanh, sixty layers, wide": (lambda: plain(nn.Tanh, 60, 1.76095, 0.05, width=128), INPUTS, CLASSES),
    "critical tanh without biases, sixty layers, wide": (lambda: plain(nn.Tanh, 60, 1.0, width=128), INPUTS, CLASSES),
    "orthogonal tanh, sixty layers": (lambda: build("orthogonal-tanh-50@depth=60"), INPUTS, CLASSES),
    "GRU, sixty steps": (lambda: Recurrent(by_cell=False), INPUTS, CLASSES),
    "GRU cell, sixty steps": (lambda: Recurrent(by_cell=True), INPUTS, CLASSES),
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_design_is_healthy(name: str, silent: Callable) -> None:
    """Whatever the seed, there is nothing above a note."""
    make, inputs, targets = SOUND[name]
    for seed in range(3):
        torch.manual_seed(seed)
        assert silent(preflight(make(), (inputs, targets))), seed


@pytest.mark.parametrize("seed", range(3))
def test_a_convnet_whose_last_gains_are_zero_is_healthy(seed: int, silent: Callable) -> None:
    """A residual network of 20 layers whose blocks start as the identity has nothing above a note."""
    model = build(ConvNet(depth=20, width=8, image_size=8, zero_init_last=True), seed=seed)

    assert silent(preflight(model, (PICTURES[:32].expand(-1, 3, -1, -1), CLASSES[:32])))


def test_the_same_bodies_with_a_fault_are_not_silent(silent: Callable) -> None:
    """The control: branches at full strength times three, and a bottleneck that nothing passes, are heard."""
    assert not silent(preflight(build(Mlp(depth=30, residual="plain", branch_scale=3.0)), (INPUTS, CLASSES)))
    torch.manual_seed(0)
    assert not silent(preflight(plain(nn.Tanh, 60, 1.0, 0.05), (INPUTS, CLASSES)))
    dead = autoencoder(nn.ReLU, 64, 32, 8, 32, 64)
    nn.init.constant_(dead[0].bias, -100.0)
    assert not silent(preflight(dead, (INPUTS, INPUTS)))
