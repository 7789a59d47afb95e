"""Plain stacks of linear layers, as a user writes them."""

from collections.abc import Callable
from math import sqrt

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "selu": nn.SELU,
    "elu": nn.ELU,
    "leaky": nn.LeakyReLU,
    "softplus": nn.Softplus,
    "mish": nn.Mish,
}
NORMS: dict[str, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, "rms": nn.RMSNorm}


def stack(depth: int, activation: str = "relu", *, norm: str | None = None, width: int = 64, outputs: int = 10) -> nn.Sequential:
    """Return `depth` hidden layers and a readout as one `nn.Sequential`, with torch's own start."""
    layers: list[nn.Module] = []
    for index in range(depth):
        layers.append(nn.Linear(64 if index == 0 else width, width))
        if norm is not None:
            layers.append(NORMS[norm](width))
        layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers, nn.Linear(width, outputs))


class Functional(nn.Module):
    """The same in another hand: a ModuleList, and the activation called as a function."""

    def __init__(self, depth: int, phi: Callable[[Tensor], Tensor] = torch.relu, width: int = 64, outputs: int = 10) -> None:
        super().__init__()
        self.first = nn.Linear(64, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.out = nn.Linear(width, outputs)
        self.phi = phi

    def forward(self, x: Tensor) -> Tensor:
        x = self.phi(self.first(x))
        for layer in self.hidden:
            x = self.phi(layer(x))
        return self.out(x)


class Autoencoder(nn.Module):
    """Encoder, a narrow code, decoder; outputs the size of the inputs."""

    def __init__(self, depth: int, activation: str = "relu", code: int = 24, norm: str | None = None) -> None:
        super().__init__()
        self.encoder = stack(depth, activation, norm=norm, outputs=code)
        self.widen = nn.Linear(code, 64)
        self.decoder = stack(depth, activation, norm=norm, outputs=64)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.widen(self.encoder(x)))


class ResidualStack(nn.Module):
    """stem, x + scale · W₂ φ(W₁ norm(x)), readout: residual blocks with or without a norm."""

    def __init__(self, depth: int, scale: float = 1.0, activation: str = "relu", norm: str | None = None) -> None:
        super().__init__()
        self.stem = nn.Linear(64, 64)
        phi = ACTIVATIONS[activation]
        blocks = []
        for _ in range(depth):
            before = nn.Identity() if norm is None else NORMS[norm](64)
            blocks.append(nn.Sequential(before, nn.Linear(64, 64), phi(), nn.Linear(64, 64)))
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(64, 10)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + self.scale * block(x)
        return self.head(x)


def drawn(model: nn.Module, gain: float = sqrt(2), *, orthogonal: bool = False) -> nn.Module:
    """Draw every linear and convolution weight but the readout's with std gain/√fan_in, and set those biases to 0."""
    *trunk, _ = matrices(model)
    for layer in trunk:
        if orthogonal:
            nn.init.orthogonal_(layer.weight, gain=gain)
        else:
            nn.init.normal_(layer.weight, std=gain / sqrt(layer.weight[0].numel()))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return model


def matrices(model: nn.Module) -> list[nn.Module]:
    """Return the linear and convolution layers in the order they were written; the last is the readout."""
    return [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
