"""Perceptrons that are only scored: SiLU, sigmoid, SELU, ELU, leaky ReLU."""

from dataclasses import replace
from math import sqrt

import torch
from torch import Tensor, nn

from benchmarks.zoo.entry import Entry, ill, well
from benchmarks.zoo.networks.plain import Functional, drawn, stack
from benchmarks.zoo.plant import Cut, Softmaxed, WithSpare, adam, frozen, loud_readout, low_rank, sgd, with_multiplied_gradient
from fathometer.networks import build
from fathometer.spec import Mlp

ON = "digits"
COLLAPSE = ("correlation_collapse", "rank_collapse")
HE = sqrt(2)


def mlp(seed: int, activation: str, depth: int, **spec: object) -> nn.Module:
    """Return a plain perceptron."""
    return build(Mlp(activation=activation, depth=depth, **spec), seed=seed)


def silu() -> list[Entry]:
    """Return SiLU layers, narrow weights, and a gradient that a wrong constant multiplies."""
    family = "SiLU perceptron"
    healthy = {f"He, {d} layers": (lambda seed, d=d: mlp(seed, "silu", d)) for d in (2, 4, 7)}
    healthy |= {f"torch's start, {d} layers": (lambda seed, d=d: mlp(seed, "silu", d, init="pytorch")) for d in (1, 3)}
    healthy |= {f"RMSNorm, {d} layers": (lambda seed, d=d: mlp(seed, "silu", d, norm="rms")) for d in (3, 8)}
    start = {f"torch's start, {d} layers": (lambda seed, d=d: mlp(seed, "silu", d, init="pytorch")) for d in (12, 20, 40)}
    rank = {f"weights of rank {r}": (lambda seed, r=r: low_rank(mlp(seed, "silu", 7, gain=1.2), r)) for r in (3, 2, 1)}
    many = {f"gradient times {f}": (lambda seed, f=f: with_multiplied_gradient(drawn(stack(8, "silu"), 1.7), f))
            for f in (30.0, 100.0, 1e4)}  # fmt: skip
    return [
        *well(family, ON, healthy),
        *ill(family, ON, "vanishing_gradient", start, near=("vanishing_signal", *COLLAPSE), fix="initialise_by_measurement"),
        *ill(family, ON, "rank_collapse", rank, near=("correlation_collapse",), fix="initialise"),
        *ill(family, ON, "exploding_gradient", many, near=("non_finite",)),
    ]


def sigmoid() -> list[Entry]:
    """Return sigmoid layers, which only a few of bear, and driven flat."""
    family = "sigmoid perceptron"
    healthy = {f"Xavier, {d} layers": (lambda seed, d=d: mlp(seed, "sigmoid", d, init="xavier")) for d in (1, 2)}
    healthy |= {f"gain {g}, {d} layers": (lambda seed, g=g, d=d: mlp(seed, "sigmoid", d, init="lecun", gain=g))
                for g, d in ((3.0, 3), (4.0, 4))}  # fmt: skip
    healthy |= {f"batch norm, {d} layers": (lambda seed, d=d: mlp(seed, "sigmoid", d, norm="batch")) for d in (2, 4)}
    deep = {f"Xavier, {d} layers": (lambda seed, d=d: mlp(seed, "sigmoid", d, init="xavier")) for d in (8, 16, 30)}
    start = {f"torch's start, {d} layers": (lambda seed, d=d: mlp(seed, "sigmoid", d, init="pytorch")) for d in (6, 12, 25)}
    flat = {
        f"gain {g:g}, 5 layers": (lambda seed, g=g: mlp(seed, "sigmoid", 5, init="lecun", gain=g)) for g in (30.0, 100.0, 1e3)
    }
    near = ("vanishing_signal", *COLLAPSE)
    return [
        *well(family, ON, healthy),
        *ill(family, ON, "vanishing_gradient", deep, near=near, fix="swap_activation"),
        *ill(family, ON, "vanishing_gradient", start, near=near, fix="swap_activation"),
        *ill(family, ON, "saturation", flat, near=("vanishing_gradient", "exploding_gradient"), fix="initialise"),
    ]


def selu() -> list[Entry]:
    """Return SELU layers with their own start, too weak, too strong, and too deep."""
    family = "SELU perceptron"
    healthy = {f"LeCun, {d} layers": (lambda seed, d=d: mlp(seed, "selu", d, init="lecun")) for d in (1, 3, 6, 10, 16)}
    healthy |= {f"orthogonal, {d} layers": (lambda seed, d=d: mlp(seed, "selu", d, init="orthogonal")) for d in (5, 9)}
    large = {f"gain {g}, 20 layers": (lambda seed, g=g: mlp(seed, "selu", 20, init="lecun", gain=g)) for g in (3.0, 6.0, 20.0)}
    small = {f"gain {g}, 25 layers": (lambda seed, g=g: mlp(seed, "selu", 25, init="lecun", gain=g)) for g in (0.5, 0.3, 0.1)}
    deep = {f"LeCun, {d} layers": (lambda seed, d=d: mlp(seed, "selu", d, init="lecun")) for d in (40, 65, 100)}
    soft = {f"softmax over {d} layers": (lambda seed, d=d: Softmaxed(mlp(seed, "selu", d, init="lecun"))) for d in (1, 4, 9)}
    return [
        *well(family, ON, healthy),
        *ill(family, ON, "exploding_signal", large, near=("exploding_gradient",), fix="initialise"),
        *ill(family, ON, "vanishing_signal", small, near=("vanishing_gradient",), fix="initialise"),
        *ill(family, ON, "rank_collapse", deep, near=("correlation_collapse",), fix="add_residual"),
        *ill(family, ON, "softmax_before_loss", soft, near=("initial_loss",)),
    ]


def elu() -> list[Entry]:
    """Return ELU layers; faults of the output, of what is frozen or never reached, and of the optimizer."""
    family = "ELU perceptron"
    healthy = {f"Xavier, {d} layers": (lambda seed, d=d: mlp(seed, "elu", d, init="xavier")) for d in (2, 5, 9)}
    healthy |= {f"functional, {d} layers": (lambda seed, d=d: drawn(Functional(d, nn.functional.elu), 1.2)) for d in (3, 6)}
    loud = {
        f"readout times {f:g}": (lambda seed, f=f: loud_readout(mlp(seed, "elu", 4, init="xavier"), f)) for f in (500, 4e3, 1e6)
    }
    cut = {f"detached after {d} layers": (lambda seed, d=d: Cut(_trunk(d))) for d in (4, 10, 24)}
    still = {f"{k} of 13 layers may move": (lambda seed, k=k: frozen(mlp(seed, "elu", 12, init="xavier"), k)) for k in (4, 2, 1)}
    spare = {f"{n} layers never called": (lambda seed, n=n: WithSpare(mlp(seed, "elu", 3), n)) for n in (1, 4)}
    start = {f"torch's start, {d} layers": (lambda seed, d=d: mlp(seed, "elu", d, init="pytorch")) for d in (16, 26, 45)}
    rows = [
        *well(family, ON, healthy),
        *ill(family, ON, "initial_loss", loud, fix="shrink_readout"),
        *ill(family, ON, "unused_parameters", cut, near=("frozen_parameters",)),
        *ill(family, ON, "frozen_parameters", still),
        *ill(family, ON, "unused_parameters", spare),
        *ill(family, ON, "vanishing_gradient", start, near=("vanishing_signal", *COLLAPSE), fix="initialise_orthogonal"),
    ]
    for name, maker in {"SGD at 1e-05": sgd(1e-5), "SGD at 100": sgd(100.0), "Adam at 1": adam(1.0)}.items():
        network = {f"{name}, 4 layers": lambda seed: mlp(seed, "elu", 4, init="xavier")}
        rows += ill(family, ON, "update_size", network, fix="change_rate", optimizer=maker)
    return rows


def _trunk(depth: int) -> nn.Sequential:
    return nn.Sequential(*list(drawn(stack(depth + 1, "elu"), 1.1))[:-2])


def leaky() -> list[Entry]:
    """Return leaky ReLU layers with and without batch norm."""
    family = "leaky ReLU perceptron"
    healthy = {f"He, {d} layers": (lambda seed, d=d: drawn(stack(d, "leaky"))) for d in (1, 3, 5, 8)}
    healthy |= {f"batch norm, {d} layers": (lambda seed, d=d: drawn(stack(d, "leaky", norm="batch"))) for d in (2, 4, 8)}
    small = {f"gain {g} of He, 12 layers": (lambda seed, g=g: drawn(stack(12, "leaky"), g * HE)) for g in (0.4, 0.25, 0.1)}
    deep = {f"batch norm, {d} layers": (lambda seed, d=d: drawn(stack(d, "leaky", norm="batch"))) for d in (35, 50, 70)}
    he = {f"He, {d} layers": (lambda seed, d=d: drawn(stack(d, "leaky"))) for d in (55, 75, 100)}
    return [
        *well(family, ON, healthy),
        *ill(family, ON, "vanishing_signal", small, near=("vanishing_gradient",), fix="initialise"),
        *ill(family, ON, "batchnorm_explosion", deep, near=("exploding_gradient",), fix="add_residual"),
        *ill(family, ON, "rank_collapse", he, near=("correlation_collapse",), fix="add_residual"),
    ]


class Careless(nn.Module):
    """Layers with a root whose NaN is masked forward but not backward, a division by 0, or an exponential."""

    def __init__(self, depth: int, how: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
        self.head = nn.Linear(64, 10)
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
            if self.how == "where over a root":
                x = torch.where(x > 0, x.sqrt(), 0.0)
            elif self.how == "share of the least":
                x = torch.relu(x) / torch.relu(x).amin(1, keepdim=True)
            else:
                x = torch.exp(20 * torch.relu(x))
        return self.head(x)


def not_finite() -> list[Entry]:
    """Return networks whose numbers or gradients stop being finite, one of them only on the way back."""
    family = "own arithmetic"
    healthy = {
        f"log-softmax over {d} layers": (lambda seed, d=d: nn.Sequential(drawn(stack(d)), nn.LogSoftmax(-1))) for d in (2, 5)
    }
    rows = well(family, ON, healthy)
    for how in ("where over a root", "share of the least", "exponential"):
        rows += ill(
            family, ON, "non_finite", {f"{how}, {d} layers": (lambda seed, d=d, how=how: Careless(d, how)) for d in (2, 4, 8)}
        )
    fair = {"logarithm of a softmax, readout as it is": lambda seed: drawn(stack(3))}
    rows += [replace(row, loss_fn=log_of_softmax) for row in well(family, ON, fair)]
    under = {
        f"logarithm of a softmax, readout times {f:g}": (lambda seed, f=f: loud_readout(drawn(stack(3)), f))
        for f in (200, 1e3, 1e4)
    }
    return rows + ill(family, ON, "non_finite", under, near=("initial_loss",), fix="shrink_readout", loss_fn=log_of_softmax)


def log_of_softmax(output: Tensor, targets: Tensor) -> Tensor:
    """Return a cross-entropy whose chances may round to 0 before the logarithm is taken."""
    return nn.functional.nll_loss(output.softmax(-1).log(), targets)
