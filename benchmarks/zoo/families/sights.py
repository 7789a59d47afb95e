"""Encoders that are only scored: torch's own, vision transformers, mixers."""

from torch import nn

from benchmarks.zoo.entry import Entry, ill, well
from benchmarks.zoo.networks.encoders import Mixer, TorchEncoder, Vit
from benchmarks.zoo.networks.hub import with_gain
from benchmarks.zoo.plant import biased, frozen, loud_readout, scaled

TOKENS, IMAGES = "digit tokens", "digit images"
STRONG = ("residual_branch_imbalance", "exploding_signal", "exploding_gradient")


def torch_encoders() -> list[Entry]:
    """Return `nn.TransformerEncoder` before and after the norm; deep post-norm; sharp attention."""
    family = "torch's encoder"
    healthy = {f"pre-norm, {d} layers": (lambda seed, d=d: TorchEncoder(d, norm_first=True)) for d in (1, 2, 4, 7)}
    healthy |= {f"post-norm, {d} layers": (lambda seed, d=d: TorchEncoder(d, norm_first=False)) for d in (1, 2)}
    marks = {"norm_first": True, "inputs": 9, "length": 32, "outputs": 8}
    marked = {f"marked, pre-norm, {d} layers": (lambda seed, d=d: TorchEncoder(d, **marks)) for d in (1, 3)}
    deep = {f"post-norm, {d} layers": (lambda seed, d=d: TorchEncoder(d, 16, norm_first=False)) for d in (6, 10, 16)}
    sharp = {f"queries, keys and values times {g:g}":
             (lambda seed, g=g: with_gain(TorchEncoder(3, norm_first=True), g, "in_proj"))
             for g in (8.0, 30.0, 200.0)}  # fmt: skip
    loud = {
        f"readout times {f:g}": (lambda seed, f=f: loud_readout(TorchEncoder(3, norm_first=True), f)) for f in (100, 1e3, 1e6)
    }
    near = ("vanishing_gradient", "token_rank_collapse", "correlation_collapse", "rank_collapse", "exploding_gradient")
    return [
        *well(family, TOKENS, healthy),
        *well(family, "marked", marked),
        *ill(family, TOKENS, "post_norm_imbalance", deep, near=near),
        *ill(family, TOKENS, "attention_entropy_collapse", sharp, near=("attention_logit_growth", "residual_branch_imbalance"),
             fix="initialise"),
        *ill(family, TOKENS, "initial_loss", loud, fix="shrink_readout"),
    ]  # fmt: skip


def vision() -> list[Entry]:
    """Return vision transformers: LayerScale, a readout at 0, frozen trunks, sharp attention, no stream."""
    family = "vision transformer"
    healthy = {f"{d} blocks": (lambda seed, d=d: Vit(d)) for d in (1, 2, 4)}
    healthy |= {
        f"LayerScale {s:g}, {d} blocks": (lambda seed, s=s, d=d: Vit(d, scale=s)) for s, d in ((0.1, 3), (0.1, 6), (1e-3, 6))
    }
    healthy |= {f"readout at 0, {d} blocks": (lambda seed, d=d: Vit(d, zero_head=True)) for d in (2, 5)}
    bare = {f"no stream, {d} blocks": (lambda seed, d=d: Vit(d, skip=False)) for d in (3, 5, 7)}
    sharp = {
        f"queries, keys and values times {g:g}": (lambda seed, g=g: with_gain(Vit(3), g, "in_proj")) for g in (15.0, 60.0, 300.0)
    }
    still = {f"{k} layers of 4 blocks may move": (lambda seed, k=k: frozen(Vit(4), k)) for k in (2, 1)}
    strong = {f"MLP weights times {f:g}": (lambda seed, f=f: scaled(Vit(4), f, holds="mlp")) for f in (10.0, 40.0, 300.0)}
    return [
        *well(family, IMAGES, healthy),
        *ill(family, IMAGES, "token_rank_collapse", bare, near=("vanishing_signal", "rank_collapse", "correlation_collapse"),
             fix="add_residual"),
        *ill(family, IMAGES, "attention_entropy_collapse", sharp, near=("attention_logit_growth", "residual_branch_imbalance"),
             fix="initialise"),
        *ill(family, IMAGES, "frozen_parameters", still),
        *ill(family, IMAGES, "residual_branch_imbalance", strong, near=STRONG, fix="initialise"),
    ]  # fmt: skip


def mixers() -> list[Entry]:
    """Return mixers; ReLUs that are biased off, and branches that are too strong without a norm."""
    family = "mixer"
    healthy = {f"{d} blocks": (lambda seed, d=d: Mixer(d)) for d in (1, 2, 4, 8)}
    healthy |= {f"no norm, branches times {b}, {d} blocks": (lambda seed, b=b, d=d: Mixer(d, norm=False, branch=b))
                for b, d in ((1.0, 3), (0.5, 6))}  # fmt: skip
    strong = {f"no norm, branch weights times {f:g}": (lambda seed, f=f: scaled(Mixer(6, norm=False), f, holds="blocks"))
              for f in (5.0, 12.0, 50.0)}  # fmt: skip
    dead = {f"no norm, biases of {b}": (lambda seed, b=b: _off(Mixer(4, norm=False), b)) for b in (-2.0, -6.0, -30.0)}
    return [
        *well(family, TOKENS, healthy),
        *ill(family, TOKENS, "exploding_signal", strong, near=STRONG, fix="initialise"),
        *ill(family, TOKENS, "dead_units", dead, fix="initialise"),
    ]


def _off(model: nn.Module, bias: float) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.Sequential) and isinstance(module[0], nn.Linear):
            biased(nn.Sequential(module[0], module[2]), bias)
    return model
