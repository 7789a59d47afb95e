"""Language models that are only scored: nanochat's kind, peri-norm, gates, experts."""

from torch import nn

from benchmarks.zoo.entry import Entry, ill, well
from benchmarks.zoo.networks.modern import Modern, Shape
from benchmarks.zoo.plant import adam, loud_readout, scaled
from fathometer.networks import build
from fathometer.spec import Transformer

ON = "next token"
STRONG = ("residual_branch_imbalance", "exploding_signal", "exploding_gradient")
SHARP = ("attention_logit_growth", "attention_entropy_collapse")


def zero_started() -> list[Entry]:
    """Return models whose branches and readout start at 0, with QK-norm and squared ReLU, up to 96 blocks."""
    family = "zero-started language model"
    shape = {"zero": True, "qk_norm": True, "softcap": 15.0}
    healthy = {f"{d} blocks": (lambda seed, d=d: Modern(Shape(d, **shape))) for d in (1, 2, 4, 8)}
    healthy |= {f"{d} blocks, 24 wide": (lambda seed, d=d: Modern(Shape(d, 24, **shape))) for d in (4, 16, 40, 96)}
    healthy |= {f"LayerScale, {d} blocks": (lambda seed, d=d, s=s: Modern(Shape(d, qk_norm=True, layer_scale=s)))
                for d, s in ((3, 0.1), (8, 0.1), (14, 1e-4))}  # fmt: skip
    weak = {f"LayerScale of {s:g} that is no parameter, no stream": (lambda seed, s=s: Modern(Shape(3, place="bare", branch=s)))
            for s in (1.0, 1e-2, 1e-4)}  # fmt: skip
    large = {f"Adam at {r:g}": (lambda seed: Modern(Shape(3, **shape))) for r in (0.3,)}
    tiny = {f"Adam at {r:g}": (lambda seed: Modern(Shape(3, **shape))) for r in (1e-6,)}
    return [
        *well(family, ON, healthy),
        *ill(family, ON, "token_rank_collapse", weak, near=("vanishing_signal", "correlation_collapse", "rank_collapse"),
             fix="add_residual"),
        *ill(family, ON, "update_size", large, fix="change_rate", optimizer=adam(0.3)),
        *ill(family, ON, "update_size", tiny, fix="change_rate", optimizer=adam(1e-6)),
    ]  # fmt: skip


def peri_normed() -> list[Entry]:
    """Return peri-norm models with gates; queries and keys that have grown, and branches out of proportion."""
    family = "peri-norm language model"
    healthy = {f"gated, {d} blocks": (lambda seed, d=d: Modern(Shape(d, place="peri", mlp="gated"))) for d in (1, 2, 5, 9)}
    healthy |= {f"QK-norm, {d} blocks": (lambda seed, d=d: Modern(Shape(d, place="peri", qk_norm=True))) for d in (2, 6)}
    grown = {f"queries and keys times {g:g}": (lambda seed, g=g: Modern(Shape(4, place="peri", qk_gain=g)))
             for g in (10.0, 50.0, 1e3)}  # fmt: skip
    strong = {f"branches times {b:g}": (lambda seed, b=b: Modern(Shape(4, place="peri", mlp="gated", branch=b)))
              for b in (30.0, 1e3, 1e5)}  # fmt: skip
    loud = {f"readout times {f:g}": (lambda seed, f=f: loud_readout(Modern(Shape(2, place="peri")), f)) for f in (30, 300, 1e4)}
    blind = {
        f"first row masked whole, {d} blocks": (lambda seed, d=d: Modern(Shape(d, place="peri", blind=True))) for d in (1, 4)
    }
    return [
        *well(family, ON, healthy),
        *ill(family, ON, "attention_logit_growth", grown, near=("attention_entropy_collapse",), fix="initialise"),
        *ill(family, ON, "residual_branch_imbalance", strong, near=STRONG, fix="scale_branches"),
        *ill(family, ON, "initial_loss", loud, fix="shrink_readout"),
        *ill(family, ON, "non_finite", blind),
    ]


def gated() -> list[Entry]:
    """Return pre-norm models with gates as Llama has them, muP and CompleteP, with one std for every matrix, or none fitting."""
    family = "gated language model"
    healthy = {f"{d} blocks": (lambda seed, d=d: Modern(Shape(d, mlp="gated"))) for d in (1, 3, 6)}
    healthy |= {
        f"std {s}, {d} blocks": (lambda seed, s=s, d=d: Modern(Shape(d, mlp="gated", std=s))) for s, d in ((0.05, 3), (0.1, 5))
    }
    healthy |= {f"{i}, {d} blocks": (lambda seed, i=i, d=d: spec(seed, d, init=i, base_width=16, base_depth=2))
                for i, d in (("mup", 3), ("completep", 6))}  # fmt: skip
    healthy |= {"muP, readout at 0": lambda seed: loud_readout(spec(seed, 2, init="mup", base_width=16), 0.0)}
    large = {f"std {s:g}": (lambda seed, s=s: scaled(Modern(Shape(4, mlp="gated")), s)) for s in (4.0, 15.0, 100.0)}
    post = {f"post-norm, {d} blocks": (lambda seed, d=d: Modern(Shape(d, 24, place="post", mlp="gated", std=0.5)))
            for d in (6, 10, 14)}  # fmt: skip
    near = ("vanishing_gradient", "token_rank_collapse", "correlation_collapse", "rank_collapse", "exploding_gradient")
    return [
        *well(family, ON, healthy),
        *ill(family, ON, "residual_branch_imbalance", large, near=(*STRONG, *SHARP),
             fix="initialise"),
        *ill(family, ON, "post_norm_imbalance", post, near=near),
    ]  # fmt: skip


def spec(seed: int, depth: int, **changes: object) -> nn.Module:
    """Return a transformer of the library's own builder."""
    return build(Transformer(depth=depth, width=32, heads=2, vocabulary=32, context=32, tied=False, **changes), seed=seed)


def experts() -> list[Entry]:
    """Return mixtures of four experts, of which a router picks two; faults in the experts."""
    family = "mixture of experts"
    healthy = {f"{d} blocks": (lambda seed, d=d: Modern(Shape(d, mlp="experts"))) for d in (1, 2, 3, 5)}
    healthy |= {f"peri-norm, {d} blocks": (lambda seed, d=d: Modern(Shape(d, place="peri", mlp="experts"))) for d in (2, 4)}
    strong = {
        f"experts times {f:g}": (lambda seed, f=f: _expert_gain(Modern(Shape(3, mlp="experts")), f)) for f in (6.0, 30.0, 1e3)
    }
    bare = {f"no stream, {d} blocks": (lambda seed, d=d: Modern(Shape(d, place="bare", mlp="experts"))) for d in (2, 3, 5)}
    return [
        *well(family, ON, healthy),
        *ill(family, ON, "residual_branch_imbalance", strong, near=STRONG),
        *ill(family, ON, "token_rank_collapse", bare, near=("vanishing_signal", "correlation_collapse", "rank_collapse"),
             fix="add_residual"),
    ]  # fmt: skip


def _expert_gain(model: nn.Module, factor: float) -> nn.Module:
    for name, parameter in model.named_parameters():
        if name.endswith((".up", ".down")):
            parameter.data.mul_(factor)
    return model
