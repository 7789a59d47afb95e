"""Transformers to develop on: GPTs, and encoders over the rows of a digit."""

from benchmarks.zoo.entry import Entry, ill, well
from benchmarks.zoo.networks.gpt import Gpt, RowReader
from benchmarks.zoo.networks.words import Worded
from benchmarks.zoo.plant import loud_readout, scaled

STRONG = ("exploding_signal", "exploding_gradient")


def gpts() -> list[Entry]:
    """Return pre-norm GPTs with the GPT-2 start and without its 1/√(2·depth), and faults in their attention and branches."""
    family, on = "GPT", "next token"
    healthy = {f"{d} blocks": (lambda seed, d=d: Gpt(d)) for d in (1, 2, 3, 4, 6, 10)}
    healthy |= {f"tied, {d} blocks": (lambda seed, d=d: Gpt(d, tied=True)) for d in (2, 5)}
    healthy |= {f"std 0.02, {d} blocks": (lambda seed, d=d: Gpt(d, std=0.02)) for d in (2, 4)}
    healthy |= {f"in a dictionary, {d} blocks": (lambda seed, d=d: Worded(Gpt(d))) for d in (1, 3)}
    unscaled = {f"without 1/√(2L), {d} blocks": (lambda seed, d=d: Gpt(d, std=0.2, scaled=False)) for d in (6, 12, 20)}
    strong = {f"branches times {b:g}, 6 blocks": (lambda seed, b=b: Gpt(6, std=0.2, scaled=False, branch=b))
              for b in (30.0, 300.0, 3e3)}  # fmt: skip
    loud = {f"embedding std {s}, tied": (lambda seed, s=s: scaled(Gpt(3, std=s, tied=True), 0.08 / s)) for s in (2.0, 8.0, 40.0)}
    bare = {f"no stream, {d} blocks": (lambda seed, d=d: Gpt(d, place="bare")) for d in (4, 8, 12)}
    masked = {"first row masked whole, 2 blocks": lambda seed: Gpt(2, mask_row=True)}
    rows = [
        *well(family, on, healthy),
        *ill(family, on, "residual_branch_imbalance", unscaled, near=STRONG, fix="scale_branches"),
        *ill(family, on, "residual_branch_imbalance", strong, near=STRONG, fix="scale_branches"),
        *ill(family, on, "initial_loss", loud, fix="shrink_readout"),
        *ill(family, on, "token_rank_collapse", bare, near=("vanishing_signal", "correlation_collapse", "rank_collapse"),
             fix="add_residual"),
        *ill(family, on, "non_finite", masked),
    ]  # fmt: skip
    return [_dictionary(row) if "dictionary" in row.name else row for row in rows]


def _dictionary(row: Entry) -> Entry:
    return Entry(row.name, row.family, "next token, dictionary", row.seed, row.maker)


def row_readers() -> list[Entry]:
    """Return pre-norm encoders read at one token, so that attention must work; sharp queries and keys; no stream."""
    family, on = "encoder of rows", "digit tokens"
    healthy = {f"{d} blocks": (lambda seed, d=d: RowReader(d)) for d in (1, 2, 3, 4, 6, 9)}
    healthy |= {f"std {s}, {d} blocks": (lambda seed, s=s, d=d: RowReader(d, std=s)) for s, d in ((0.1, 2), (0.2, 3))}
    sharp = {f"queries and keys times {g:g}": (lambda seed, g=g: RowReader(4, qk_gain=g)) for g in (8.0, 30.0, 300.0)}
    bare = {f"attention alone, {d} layers": (lambda seed, d=d: RowReader(d, place="bare", has_mlp=False)) for d in (4, 8, 16)}
    wide = {f"attention with a stream alone, {d} layers": (lambda seed, d=d: RowReader(d, has_mlp=False)) for d in (2, 5)}
    loud = {f"readout times {f:g}": (lambda seed, f=f: loud_readout(RowReader(2), f)) for f in (100, 1e3, 1e5)}
    return [
        *well(family, on, healthy | wide),
        *ill(family, on, "attention_entropy_collapse", sharp, near=("attention_logit_growth",), fix="initialise"),
        *ill(family, on, "token_rank_collapse", bare, near=("vanishing_signal", "rank_collapse", "correlation_collapse"),
             fix="add_residual"),
        *ill(family, on, "initial_loss", loud, fix="shrink_readout"),
    ]  # fmt: skip


def post_norm_readers() -> list[Entry]:
    """Return post-norm encoders: fine when shallow, out of balance when deep."""
    family, on = "post-norm encoder of rows", "digit tokens"
    healthy = {f"{d} blocks": (lambda seed, d=d: RowReader(d, place="post")) for d in (1, 2, 3)}
    near = ("vanishing_gradient", "token_rank_collapse", "correlation_collapse", "rank_collapse", "exploding_gradient")
    deep = {f"{d} blocks": (lambda seed, d=d: RowReader(d, 16, place="post", std=0.3)) for d in (10, 18, 30)}
    return [*well(family, on, healthy), *ill(family, on, "post_norm_imbalance", deep, near=near)]
