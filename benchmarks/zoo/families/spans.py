"""Networks through time that are only scored: state spaces, GRUs, pairs, hub models."""

from torch import nn

from benchmarks.zoo.entry import Entry, ill, well
from benchmarks.zoo.networks.hub import BertRows, MambaTokens, T5Pair, available, gpt2, llama, with_gain
from benchmarks.zoo.networks.pairs import Pair
from benchmarks.zoo.networks.recurrent import Fused, Loop, StateSpace, recurrent_start
from benchmarks.zoo.plant import adam, loud_readout, scaled

STRONG = ("residual_branch_imbalance", "exploding_signal", "exploding_gradient")


def state_spaces() -> list[Entry]:
    """Return diagonal state spaces that remember, that forget, and that shout."""
    family = "state space"
    healthy = {f"{d} layers": (lambda seed, d=d: StateSpace(d, 8)) for d in (2, 3, 5)}
    healthy |= {f"poles up to {k}": (lambda seed, k=k: StateSpace(2, 8, keep=k)) for k in (0.99, 0.9999)}
    words = {f"words, {d} layers": (lambda seed, d=d: StateSpace(d, outputs=32, low=0.05)) for d in (1, 3, 6)}
    forgets = {f"poles up to {k}": (lambda seed, k=k: StateSpace(2, 8, keep=k, low=k / 2)) for k in (0.7, 0.4, 0.1)}
    loud = {f"readout times {f:g}": (lambda seed, f=f: loud_readout(StateSpace(2, 8), f)) for f in (300, 1e3, 1e6)}
    strong = {f"branches times {f:g}": (lambda seed, f=f: scaled(StateSpace(3, 8), f, holds="leave")) for f in (30.0, 300.0, 1e4)}
    return [
        *well(family, "recall", healthy),
        *well(family, "next token", words),
        *ill(family, "recall", "vanishing_gradient", forgets, near=("vanishing_signal",)),
        *ill(family, "recall", "initial_loss", loud, fix="shrink_readout"),
        *ill(family, "recall", "residual_branch_imbalance", strong, near=STRONG, fix="initialise"),
    ]


def gru() -> list[Entry]:
    """Return GRUs that keep, that forget, and whose inputs drive them flat."""
    family, on = "GRU", "recall"

    def made(cls: type[nn.Module], keep: float | None, *, gain: float = 1.0, entering: float = 1.0) -> nn.Module:
        return with_gain(recurrent_start(cls("GRU"), gain, forget=keep), entering, "weight_ih")

    healthy = {f"keep bias {b:g}": (lambda seed, b=b: made(Fused, b)) for b in (3.0, 3.7, 4.5)}
    healthy |= {f"a loop, keep bias {b:g}": (lambda seed, b=b: made(Loop, b)) for b in (3.3, 4.0)}
    forgets = {f"keep bias {b:g}": (lambda seed, b=b: made(Fused, b)) for b in (-1.0, -2.0, -6.0)}
    flat = {f"inputs times {f:g}": (lambda seed, f=f: made(Fused, 3.7, entering=f)) for f in (30.0, 100.0, 1e3)}
    chaos = {f"state times {g:g}": (lambda seed, g=g: made(Loop, 0.0, gain=g)) for g in (4.0, 10.0, 40.0)}
    loud = {f"readout times {f:g}": (lambda seed, f=f: loud_readout(made(Loop, 3.7), f)) for f in (300, 1e3, 1e6)}
    return [
        *well(family, on, healthy),
        *ill(family, on, "vanishing_gradient", forgets, near=("vanishing_signal",)),
        *ill(family, on, "saturation", flat, near=("vanishing_gradient",), fix="initialise"),
        *ill(family, on, "exploding_gradient", chaos, near=("saturation",), fix="initialise_orthogonal"),
        *ill(family, on, "initial_loss", loud, fix="shrink_readout"),
    ]


def pairs() -> list[Entry]:
    """Return encoder-decoders: deep post-norm, an encoder that is not heard, a loud readout, a rate that does not fit."""
    family, on = "encoder-decoder", "reversal"
    healthy = {f"pre-norm, {d} and {d} layers": (lambda seed, d=d: Pair(d)) for d in (1, 2, 4)}
    healthy |= {f"{w} wide": (lambda seed, w=w: Pair(1, w)) for w in (24, 48)}
    healthy |= {"post-norm, 1 and 1 layers": lambda seed: Pair(1, norm_first=False)}
    deep = {f"post-norm, {d} and {d} layers": (lambda seed, d=d: Pair(d, 16, norm_first=False)) for d in (3, 5, 8)}
    unheard = {f"the encoder's answer times {c:g}": (lambda seed, c=c: Pair(1, cross=c)) for c in (1e-6, 0.0)}
    loud = {f"readout times {f:g}": (lambda seed, f=f: loud_readout(Pair(1), f)) for f in (100, 1e3, 1e6)}
    near = ("vanishing_gradient", "token_rank_collapse", "correlation_collapse", "rank_collapse", "exploding_gradient")
    rows = [
        *well(family, on, healthy),
        *ill(family, on, "post_norm_imbalance", deep, near=near),
        *ill(family, on, "unused_parameters", unheard, near=("vanishing_gradient", "vanishing_signal")),
        *ill(family, on, "initial_loss", loud, fix="shrink_readout"),
    ]
    for rate in (1e-6, 1.0):
        rows += ill(
            family, on, "update_size", {f"Adam at {rate:g}": lambda seed: Pair(1)}, fix="change_rate", optimizer=adam(rate)
        )
    return rows


def hub() -> list[Entry]:
    """Return tiny GPT-2, Llama, BERT, T5 and Mamba from their configurations; none where transformers is not installed."""
    if not available():
        return []
    family, words = "Hugging Face", "next token, dictionary"
    gpts = {f"GPT-2, {d} layers": (lambda seed, d=d: gpt2(d)) for d in (1, 2, 4)}
    llamas = {f"Llama, {d} layers": (lambda seed, d=d: llama(d)) for d in (1, 2, 4)}
    berts = {f"BERT, {d} layers": (lambda seed, d=d: BertRows(d)) for d in (1, 2)}
    t5s = {f"T5, {d} and {d} layers": (lambda seed, d=d: T5Pair(d)) for d in (1, 2)}
    loud = {f"GPT-2, std {s:g}": (lambda seed, s=s: gpt2(3, std=s)) for s in (0.8, 3.0, 20.0)}
    sharp = {f"Llama, queries times {f:g}": (lambda seed, f=f: with_gain(llama(3), f, "q_proj")) for f in (300.0, 3e3, 1e5)}
    deep = {f"BERT, {d} layers, std 0.3": (lambda seed, d=d: BertRows(d, std=0.3)) for d in (6, 10, 16)}
    strong = {f"T5, factor {f:g}": (lambda seed, f=f: T5Pair(1, factor=f)) for f in (10.0, 40.0, 300.0)}
    near = ("vanishing_gradient", "token_rank_collapse", "correlation_collapse", "rank_collapse", "exploding_gradient")
    return [
        *well(family, words, gpts | llamas),
        *well(family, "digit tokens", berts),
        *well(family, "reversal", t5s),
        *well(family, "next token", {"Mamba, 1 layer": lambda seed: MambaTokens(1)}),
        *ill(family, words, "initial_loss", loud, near=STRONG, fix="initialise"),
        *ill(family, words, "attention_logit_growth", sharp, near=("attention_entropy_collapse",), fix="initialise"),
        *ill(family, "digit tokens", "post_norm_imbalance", deep, near=near),
        *ill(family, "reversal", "initial_loss", strong, near=STRONG, fix="initialise"),
    ]
