"""Residual perceptrons and autoencoders to develop on."""

from torch import nn

from benchmarks.zoo.entry import Entry, ill, well
from benchmarks.zoo.networks.plain import Autoencoder, ResidualStack, drawn
from benchmarks.zoo.plant import biased, loud_readout, scaled
from fathometer.networks import build
from fathometer.spec import Mlp

STRONG = ("residual_branch_imbalance", "exploding_gradient")


def residual(kind: str, seed: int, depth: int, **spec: object) -> nn.Module:
    """Return a residual perceptron of one kind."""
    return build(Mlp(depth=depth, residual=kind, **spec), seed=seed)


def streams() -> list[Entry]:
    """Return scaled, pre-norm, ReZero and LayerScale streams, and plain ones whose branches are too strong."""
    family, on = "residual perceptron", "digits"
    sizes = (("scaled", (6, 20, 50, 100)), ("pre-norm", (4, 12, 30, 60)), ("rezero", (5, 20, 48)), ("layerscale", (6, 16)))
    healthy = {f"{k}, {d} blocks": (lambda seed, k=k, d=d: residual(k, seed, d)) for k, depths in sizes for d in depths}
    healthy |= {f"plain, scale {s}, {d} blocks": (lambda seed, s=s, d=d: residual("plain", seed, d, branch_scale=s))
                for s, d in ((0.1, 30), (0.3, 8), (1.0, 3))}  # fmt: skip
    strong = {f"branches times {s}, 30 blocks": (lambda seed, s=s: residual("plain", seed, 30, branch_scale=s))
              for s in (1.5, 3.0, 8.0)}  # fmt: skip
    deep = {f"plain, {d} blocks": (lambda seed, d=d: residual("plain", seed, d)) for d in (30, 55, 90)}
    weak = {f"pre-norm, branches times {s}": (lambda seed, s=s: residual("pre-norm", seed, 12, branch_scale=s))
            for s in (30.0, 300.0, 3e3)}  # fmt: skip
    return [
        *well(family, on, healthy),
        *ill(family, on, "exploding_signal", strong, near=STRONG, fix="scale_branches"),
        *ill(family, on, "exploding_signal", deep, near=STRONG, fix="scale_branches"),
        *ill(family, on, "residual_branch_imbalance", weak, near=("exploding_signal",), fix="scale_branches"),
    ]


def normed_streams() -> list[Entry]:
    """Return post-norm perceptrons: fine when shallow, out of balance when deep."""
    family, on = "post-norm perceptron", "digits"
    healthy = {f"{d} blocks": (lambda seed, d=d: residual("post-norm", seed, d, branch_layers=2)) for d in (2, 5, 10)}
    deep = {f"{d} blocks": (lambda seed, d=d: residual("post-norm", seed, d, branch_layers=2)) for d in (30, 50, 80)}
    near = ("vanishing_gradient", "correlation_collapse", "rank_collapse", "exploding_gradient")
    return [*well(family, on, healthy), *ill(family, on, "post_norm_imbalance", deep, near=near)]


def autoencoders() -> list[Entry]:
    """Return autoencoders of digits with a narrow code."""
    family, on = "autoencoder", "autoencoding"
    healthy = {f"{a}, {d} and {d} layers": (lambda seed, a=a, d=d, g=g: drawn(Autoencoder(d, a), g))
               for a, g, last in (("relu", 1.41, 3), ("tanh", 1.1, 3), ("gelu", 1.41, 2))
               for d in range(1, last + 1)}  # fmt: skip
    healthy |= {f"code of {c}": (lambda seed, c=c: drawn(Autoencoder(1, code=c))) for c in (20, 32)}
    small = {f"gain {g}": (lambda seed, g=g: drawn(Autoencoder(6), g)) for g in (0.7, 0.4, 0.1)}
    dead = {f"biases of {b}": (lambda seed, b=b: biased(drawn(Autoencoder(3)), b)) for b in (-2.0, -4.0, -8.0)}
    loud = {f"readout times {f}": (lambda seed, f=f: loud_readout(drawn(Autoencoder(2)), f)) for f in (100, 1e3, 1e5)}
    deep = {f"torch's start, {d} and {d} layers": (lambda seed, d=d: Autoencoder(d, "tanh")) for d in (8, 14, 24)}
    return [
        *well(family, on, healthy),
        *ill(family, on, "vanishing_signal", small, near=("vanishing_gradient",), fix="initialise"),
        *ill(family, on, "dead_units", dead, fix="initialise"),
        *ill(family, on, "initial_loss", loud, fix="shrink_readout"),
        *ill(family, on, "vanishing_gradient", deep, near=("vanishing_signal", "rank_collapse", "correlation_collapse"),
             fix="initialise_orthogonal"),
    ]  # fmt: skip


def own_streams() -> list[Entry]:
    """Return residual blocks in a user's own hand, two layers in each branch."""
    family, on = "own residual perceptron", "digits"
    healthy = {f"layer norm, {d} blocks": (lambda seed, d=d: ResidualStack(d, norm="layer")) for d in (3, 10, 24)}
    healthy |= {f"torch's start, {d} blocks": (lambda seed, d=d: ResidualStack(d)) for d in (3, 10, 24)}
    strong = {f"branch weights times {f}, 20 blocks": (lambda seed, f=f: scaled(ResidualStack(20), f, holds="blocks"))
              for f in (4.0, 8.0, 30.0)}  # fmt: skip
    return [*well(family, on, healthy), *ill(family, on, "exploding_signal", strong, near=STRONG, fix="initialise")]
