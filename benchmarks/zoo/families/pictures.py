"""Convolutional networks to develop on: plain ones, and ResNets."""

from math import sqrt

from benchmarks.zoo.entry import Entry, ill, well
from benchmarks.zoo.networks.pictures import ResNet, plain
from benchmarks.zoo.networks.plain import drawn
from benchmarks.zoo.plant import biased, loud_readout, low_rank, scaled

HE = sqrt(2)
ON = "digit images"


def plain_convnets() -> list[Entry]:
    """Return convolutions without a norm."""
    family = "plain convnet"
    healthy = {f"He, {d} layers": (lambda seed, d=d: drawn(plain(d))) for d in (1, 2, 3, 5, 8)}
    healthy |= {f"torch's start, {d} layers": (lambda seed, d=d: plain(d)) for d in (1, 2, 3)}
    healthy |= {f"tanh, {d} layers": (lambda seed, d=d: drawn(plain(d, "tanh"), 1.1)) for d in (2, 6)}
    start = {f"torch's start, {d} layers": (lambda seed, d=d: plain(d)) for d in (10, 16, 24)}
    large = {f"gain {g} of He, 12 layers": (lambda seed, g=g: drawn(plain(12), g * HE)) for g in (3, 10, 40)}
    dead = {f"biases of {b}": (lambda seed, b=b: biased(drawn(plain(5)), b)) for b in (-1.5, -3.0, -6.0)}
    rank = {f"kernels of rank {r}, 8 layers": (lambda seed, r=r: low_rank(drawn(plain(8)), r)) for r in (2, 1)}
    return [
        *well(family, ON, healthy),
        *ill(family, ON, "vanishing_gradient", start, near=("vanishing_signal", "correlation_collapse", "rank_collapse"),
             fix="initialise_orthogonal"),
        *ill(family, ON, "exploding_signal", large, near=("exploding_gradient",), fix="initialise"),
        *ill(family, ON, "dead_units", dead, fix="initialise"),
        *ill(family, ON, "rank_collapse", rank, near=("correlation_collapse",), fix="initialise"),
    ]  # fmt: skip


def resnets() -> list[Entry]:
    """Return residual convnets, with batch norm or with branches of their own strength."""
    family = "ResNet"
    healthy = {f"batch norm, {d} blocks": (lambda seed, d=d: ResNet(d)) for d in (1, 3, 6)}
    healthy |= {f"last gain 0, {d} blocks": (lambda seed, d=d: ResNet(d, zero_gain=True)) for d in (2, 5, 10)}
    healthy |= {f"no norm, scale {s}, {d} blocks": (lambda seed, s=s, d=d: ResNet(d, norm=False, scale=s))
                for s, d in ((1.0, 2), (0.3, 6))}  # fmt: skip
    strong = {f"no norm, branch weights times {f}": (lambda seed, f=f: scaled(ResNet(8, norm=False), f, holds="blocks"))
              for f in (4.0, 8.0, 30.0)}  # fmt: skip
    loud = {f"readout times {f:g}": (lambda seed, f=f: loud_readout(ResNet(2), f)) for f in (100, 1e3, 1e5)}
    return [
        *well(family, ON, healthy),
        *ill(family, ON, "exploding_signal", strong, near=("residual_branch_imbalance", "exploding_gradient"), fix="initialise"),
        *ill(family, ON, "initial_loss", loud, fix="shrink_readout"),
    ]


def deep_batch_norm() -> list[Entry]:
    """Return plain convnets with batch norm: fine when shallow, exploding backward when deep."""
    family = "plain convnet with batch norm"
    healthy = {f"{d} layers": (lambda seed, d=d: drawn(plain(d, norm=True))) for d in (1, 2, 4, 6)}
    deep = {f"{d} layers": (lambda seed, d=d: drawn(plain(d, norm=True, channels=8))) for d in (20, 32, 48)}
    near = ("exploding_gradient", "correlation_collapse")
    return [*well(family, ON, healthy), *ill(family, ON, "batchnorm_explosion", deep, near=near, fix="add_residual")]
