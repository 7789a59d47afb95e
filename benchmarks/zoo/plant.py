"""How faults are planted in any module."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.zoo.networks.plain import matrices


@torch.no_grad()
def scaled(model: nn.Module, factor: float, *, holds: str = "") -> nn.Module:
    """Multiply the weights of every layer but the readout whose name holds a word."""
    names = {module: name for name, module in model.named_modules()}
    for layer in matrices(model)[:-1]:
        if holds in names[layer]:
            layer.weight.mul_(factor)
    return model


@torch.no_grad()
def loud_readout(model: nn.Module, factor: float) -> nn.Module:
    """Multiply the weights of the readout."""
    matrices(model)[-1].weight.mul_(factor)
    return model


@torch.no_grad()
def biased(model: nn.Module, bias: float) -> nn.Module:
    """Set the biases of all layers but the readout."""
    for layer in matrices(model)[:-1]:
        if layer.bias is not None:
            layer.bias.fill_(bias)
    return model


@torch.no_grad()
def low_rank(model: nn.Module, rank: int) -> nn.Module:
    """Keep the first singular directions of every weight but the readout's, at the same Frobenius norm."""
    for layer in matrices(model)[:-1]:
        rows = layer.weight.flatten(1)
        left, sizes, right = torch.linalg.svd(rows, full_matrices=False)
        kept = (left[:, :rank] * sizes[:rank]) @ right[:rank]
        layer.weight.copy_((kept * rows.norm() / kept.norm()).reshape(layer.weight.shape))
    return model


def frozen(model: nn.Module, kept: int) -> nn.Module:
    """Freeze everything but the parameters of the last `kept` layers with weights."""
    model.requires_grad_(False)
    for layer in matrices(model)[len(matrices(model)) - kept :]:
        layer.requires_grad_(True)
    return model


class Softmaxed(nn.Module):
    """A softmax in front of a cross-entropy that takes one itself."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.model(x), dim=-1)


class Logged(nn.Module):
    """The logarithm of numbers that may be 0."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return torch.log(torch.relu(self.model(x)))


class Cut(nn.Module):
    """A trunk whose output is detached before one more layer and the readout."""

    def __init__(self, trunk: nn.Module, width: int = 64, outputs: int = 10) -> None:
        super().__init__()
        self.trunk, self.head = trunk, nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x).detach())


class WithSpare(nn.Module):
    """A network that owns layers it never calls."""

    def __init__(self, model: nn.Module, spare: int) -> None:
        super().__init__()
        self.model = model
        self.spare = nn.ModuleList(nn.Linear(64, 64) for _ in range(spare))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Multiplied(nn.Module):
    """The same numbers forward; the gradient is multiplied on its way back, as a wrong mask constant does."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x - ((self.factor - 1) * x).detach()


def with_multiplied_gradient(model: nn.Sequential, factor: float, between: type[nn.Module] = nn.Linear) -> nn.Sequential:
    """Put `Multiplied` after everything in a stack that is not a layer of one kind, so after every activation."""
    layers: list[nn.Module] = []
    for layer in model:
        layers.append(layer)
        if not isinstance(layer, between):
            layers.append(Multiplied(factor))
    return nn.Sequential(*layers)


def adam(rate: float) -> Callable[[nn.Module], torch.optim.Optimizer]:
    """Return what makes an Adam of that rate."""
    return lambda model: torch.optim.Adam(model.parameters(), lr=rate)


def sgd(rate: float) -> Callable[[nn.Module], torch.optim.Optimizer]:
    """Return what makes plain SGD of that rate."""
    return lambda model: torch.optim.SGD(model.parameters(), lr=rate)
