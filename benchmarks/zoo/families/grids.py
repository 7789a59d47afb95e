"""Convolutional networks that are only scored: GELU, dense, U-Nets."""

from torch import nn

from benchmarks.zoo.entry import Entry, ill, well
from benchmarks.zoo.networks.pictures import DenseNet, UNet, plain
from benchmarks.zoo.networks.plain import drawn
from benchmarks.zoo.plant import Softmaxed, adam, biased, frozen, loud_readout, low_rank, scaled, with_multiplied_gradient

ON, COPY = "digit images", "picture autoencoding"


def gelu_convnets() -> list[Entry]:
    """Return GELU convolutions, and faults in and around them."""
    family = "GELU convnet"
    healthy = {f"He, {d} layers": (lambda seed, d=d: drawn(plain(d, "gelu"))) for d in (1, 3, 4, 6)}
    healthy |= {f"torch's start, {d} layers": (lambda seed, d=d: plain(d, "gelu")) for d in (1, 2)}
    healthy |= {f"batch norm, {d} layers": (lambda seed, d=d: drawn(plain(d, "gelu", norm=True))) for d in (2, 5)}
    start = {f"torch's start, {d} layers": (lambda seed, d=d: plain(d, "gelu")) for d in (8, 14, 22)}
    deep = {f"batch norm, {d} layers": (lambda seed, d=d: drawn(plain(d, "gelu", norm=True, channels=8))) for d in (20, 30, 40)}
    many = {f"gradient times 100 in each of {d} layers": (lambda seed, d=d: _multiplied(d)) for d in (4, 8, 20)}
    soft = {f"softmax over {d} layers": (lambda seed, d=d: Softmaxed(drawn(plain(d, "gelu")))) for d in (2, 6)}
    rank = {f"kernels of rank {r}, 7 layers": (lambda seed, r=r: low_rank(drawn(plain(7, "gelu")), r)) for r in (2, 1)}
    still = {f"{k} of 11 layers may move": (lambda seed, k=k: frozen(drawn(plain(10, "gelu")), k)) for k in (2, 1)}
    rows = [
        *well(family, ON, healthy),
        *ill(family, ON, "vanishing_gradient", start, near=("vanishing_signal", "correlation_collapse", "rank_collapse"),
             fix="initialise_by_measurement"),
        *ill(family, ON, "batchnorm_explosion", deep, near=("exploding_gradient", "correlation_collapse"), fix="add_residual"),
        *ill(family, ON, "exploding_gradient", many, near=("non_finite",)),
        *ill(family, ON, "softmax_before_loss", soft, near=("initial_loss",)),
        *ill(family, ON, "rank_collapse", rank, near=("correlation_collapse",), fix="initialise"),
        *ill(family, ON, "frozen_parameters", still),
    ]  # fmt: skip
    for rate in (1e-8, 0.5, 30.0):
        network = {f"Adam at {rate:g}": lambda seed: drawn(plain(3, "gelu"))}
        rows += ill(family, ON, "update_size", network, fix="change_rate", optimizer=adam(rate))
    return rows


def _multiplied(depth: int) -> nn.Module:
    *trunk, flatten, readout = drawn(plain(depth, "gelu"))
    body = with_multiplied_gradient(nn.Sequential(*trunk), 100.0, between=nn.Conv2d)
    return nn.Sequential(*body, flatten, readout)


def dense() -> list[Entry]:
    """Return DenseNets with and without a norm."""
    family = "DenseNet"
    healthy = {f"{d} layers": (lambda seed, d=d: DenseNet(d)) for d in (2, 4, 8)}
    healthy |= {f"no norm, {d} layers": (lambda seed, d=d: DenseNet(d, norm=False)) for d in (2, 5)}
    loud = {f"readout times {f:g}": (lambda seed, f=f: loud_readout(DenseNet(4), f)) for f in (100, 1e3, 1e6)}
    strong = {f"no norm, kernels times {f:g}": (lambda seed, f=f: scaled(DenseNet(8, norm=False), f, holds="layers"))
              for f in (20.0, 100.0, 1e4)}  # fmt: skip
    return [
        *well(family, ON, healthy),
        *ill(family, ON, "initial_loss", loud, fix="shrink_readout"),
        *ill(family, ON, "exploding_signal", strong, near=("exploding_gradient",), fix="initialise"),
    ]


def u_nets() -> list[Entry]:
    """Return convolutional autoencoders, with and without the bridge of a U-Net."""
    family = "U-Net"
    healthy = {f"bridge, {d} in the middle": (lambda seed, d=d: drawn(UNet(d))) for d in (1, 4, 8)}
    healthy |= {f"no bridge, {d} in the middle": (lambda seed, d=d: drawn(UNet(d, bridge=False))) for d in (1, 2, 3)}
    healthy |= {f"batch norm, {d} in the middle": (lambda seed, d=d: drawn(UNet(d, bridge=False, norm=True))) for d in (1, 3)}
    small = {f"gain {g}, no bridge": (lambda seed, g=g: drawn(UNet(8, bridge=False), g)) for g in (0.6, 0.4, 0.1)}
    large = {f"gain {g:g}, no bridge": (lambda seed, g=g: drawn(UNet(8, bridge=False), g)) for g in (5.0, 15.0, 60.0)}
    dead = {f"biases of {b}": (lambda seed, b=b: biased(drawn(UNet(3, bridge=False)), b)) for b in (-1.5, -3.0, -8.0)}
    start = {f"tanh, torch's start, {d} in the middle": (lambda seed, d=d: UNet(d, "tanh", bridge=False)) for d in (8, 14, 24)}
    return [
        *well(family, COPY, healthy),
        *ill(family, COPY, "vanishing_signal", small, near=("vanishing_gradient",), fix="initialise"),
        *ill(family, COPY, "exploding_signal", large, near=("exploding_gradient", "initial_loss"), fix="initialise"),
        *ill(family, COPY, "dead_units", dead, near=("vanishing_gradient",), fix="initialise"),
        *ill(family, COPY, "vanishing_gradient", start, near=("vanishing_signal", "rank_collapse", "correlation_collapse"),
             fix="initialise_orthogonal"),
    ]  # fmt: skip
