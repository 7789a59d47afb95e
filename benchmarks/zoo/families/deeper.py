"""Residual perceptrons that are only scored: highway, Fixup, DeepNorm, peri."""

from torch import nn

from benchmarks.zoo.entry import Entry, ill, well
from benchmarks.zoo.networks.plain import ResidualStack
from benchmarks.zoo.plant import loud_readout, low_rank, scaled
from fathometer.networks import build
from fathometer.spec import Mlp

ON = "digits"
STRONG = ("residual_branch_imbalance", "exploding_gradient", "exploding_signal")


def residual(seed: int, kind: str, depth: int, **spec: object) -> nn.Module:
    """Return a residual perceptron with two layers in each branch."""
    return build(Mlp(depth=depth, residual=kind, branch_layers=2, **{"activation": "gelu"} | spec), seed=seed)


def deep_streams() -> list[Entry]:
    """Return highway, Fixup, DeepNorm and peri-norm streams, which bear any depth."""
    family = "deep residual perceptron"
    kinds = (("highway", (3, 10, 25)), ("deepnorm", (4, 12, 30)), ("peri-norm", (4, 16, 40)))
    healthy = {f"{k}, {d} blocks": (lambda seed, k=k, d=d: residual(seed, k, d)) for k, depths in kinds for d in depths}
    healthy |= {f"Fixup, {d} blocks": (lambda seed, d=d: residual(seed, "plain", d, init="fixup")) for d in (5, 20, 45)}
    healthy |= {f"depth-μP, {d} blocks": (lambda seed, d=d: residual(seed, "pre-norm", d, init="depth-mup", base_depth=2))
                for d in (6, 24)}  # fmt: skip
    strong = {f"SiLU, branches times {s:g}, 25 blocks":
              (lambda seed, s=s: residual(seed, "plain", 25, activation="silu", branch_scale=s))
              for s in (3.0, 6.0, 20.0)}  # fmt: skip
    peri = {f"peri-norm, branches times {s:g}": (lambda seed, s=s: residual(seed, "peri-norm", 10, branch_scale=s))
            for s in (30.0, 1e3, 1e5)}  # fmt: skip
    rank = {f"peri-norm, weights of rank {r}": (lambda seed, r=r: low_rank(residual(seed, "peri-norm", 6), r)) for r in (3, 2, 1)}
    return [
        *well(family, ON, healthy),
        *ill(family, ON, "exploding_signal", strong, near=STRONG, fix="scale_branches"),
        *ill(family, ON, "residual_branch_imbalance", peri, near=STRONG, fix="scale_branches"),
        *ill(family, ON, "rank_collapse", rank, near=("correlation_collapse",), fix="initialise"),
    ]


def deep_post_norm() -> list[Entry]:
    """Return post-norm SiLU perceptrons with RMSNorm."""
    family = "post-norm perceptron, SiLU"
    healthy = {
        f"{d} blocks": (lambda seed, d=d: residual(seed, "post-norm", d, activation="silu", norm="rms")) for d in (1, 3, 6)
    }
    deep = {
        f"{d} blocks": (lambda seed, d=d: residual(seed, "post-norm", d, activation="silu", norm="rms")) for d in (35, 50, 70)
    }
    near = ("vanishing_gradient", "correlation_collapse", "rank_collapse", "exploding_gradient")
    return [*well(family, ON, healthy), *ill(family, ON, "post_norm_imbalance", deep, near=near)]


def silent_streams() -> list[Entry]:
    """Return RMS-normed streams of another hand, with loud readouts and far too large branch weights."""
    family = "own residual perceptron, SiLU"
    healthy = {f"RMSNorm, {d} blocks": (lambda seed, d=d: ResidualStack(d, activation="silu", norm="rms")) for d in (2, 8, 20)}
    healthy |= {f"1/depth, {d} blocks": (lambda seed, d=d: ResidualStack(d, 1 / d, "silu")) for d in (8, 30)}
    loud = {f"readout times {f:g}": (lambda seed, f=f: loud_readout(ResidualStack(5, 0.2, "silu"), f)) for f in (300, 3e3, 1e6)}
    strong = {f"branch weights times {f:g}, 15 blocks":
              (lambda seed, f=f: scaled(ResidualStack(15, activation="silu"), f, holds="blocks"))
              for f in (5.0, 12.0, 40.0)}  # fmt: skip
    return [
        *well(family, ON, healthy),
        *ill(family, ON, "initial_loss", loud, fix="shrink_readout"),
        *ill(family, ON, "exploding_signal", strong, near=STRONG, fix="initialise"),
    ]
