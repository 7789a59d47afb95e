"""Attention with every option equals a plain softmax, written out place by place."""

from dataclasses import replace
from math import tanh

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fathometer.networks import Attention, FeedForward, build
from fathometer.networks.positions import rotate
from fathometer.spec import Transformer

SMALL = Transformer(depth=1, width=24, heads=4, vocabulary=11, context=9, dropout=0.0)
OPTIONS: dict[str, dict[str, object]] = {
    "as in GPT-2": {},
    "not causal": {"causal": False},
    "grouped queries": {"kv_heads": 2},
    "one key for all": {"kv_heads": 1},
    "RoPE": {"positions": "rope"},
    "QK-norm": {"qk_norm": True},
    "soft-cap": {"attention_softcap": 0.05},
    "soft-cap, not causal": {"attention_softcap": 0.05, "causal": False},
    "no biases": {"bias": False},
    "μP": {"init": "mup", "base_width": 12},
    "all at once": {"kv_heads": 2, "positions": "rope", "qk_norm": True, "attention_softcap": 0.7, "bias": False},
}


def attention_of(spec: Transformer, seed: int) -> Attention:
    """Return an attention branch in double precision whose every parameter matters."""
    attention = next(module for module in build(spec, dtype=torch.float64).modules() if isinstance(module, Attention))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / parameter.shape[-1] ** 0.5)
    return attention


@torch.no_grad()
def written_out(attention: Attention, signal: Tensor) -> Tensor:
    """Compute attention one sample, one head and one place at a time."""
    spec, size = attention.spec, attention.spec.head_width
    answers = []
    for sample in signal:
        queries, keys, values = (part(sample) for part in (attention.query, attention.key, attention.value))
        heads = []
        for head in range(spec.num_heads):
            group = head * spec.num_kv_heads // spec.num_heads
            query, key, value = (x[:, i * size : (i + 1) * size] for x, i in ((queries, head), (keys, group), (values, group)))
            query, key = prepared(query, attention.query_norm, spec), prepared(key, attention.key_norm, spec)
            heads.append(torch.stack([look(query[place], key, value, place, spec) for place in range(len(sample))]))
        answers.append(F.linear(torch.cat(heads, dim=1), attention.output.weight, attention.output.bias))
    return torch.stack(answers)


def prepared(units: Tensor, norm: torch.nn.Module, spec: Transformer) -> Tensor:
    """Norm and turn one head's queries or keys `(time, head_width)`."""
    if spec.qk_norm:
        units = units / (units.square().mean(1, keepdim=True) + 1e-5).sqrt() * norm.weight
    return rotate(units, spec.rope_base) if spec.positions == "rope" else units


def look(query: Tensor, keys: Tensor, values: Tensor, place: int, spec: Transformer) -> Tensor:
    """Return what one place sees: a softmax over the places that it may look at."""
    end = place + 1 if spec.causal else len(keys)
    scale = 1 / spec.head_width if spec.init == "mup" else spec.head_width**-0.5
    scores = [scale * float(query @ key) for key in keys[:end]]
    cap = spec.attention_softcap
    weights = torch.tensor(scores if cap is None else [cap * tanh(score / cap) for score in scores], dtype=query.dtype).exp()
    return (weights / weights.sum()) @ values[:end]


@pytest.mark.parametrize("name", OPTIONS)
def test_attention_equals_a_plain_softmax(name: str, seed: int) -> None:
    """With each option the branch gives what a loop over samples, heads and places gives."""
    attention = attention_of(replace(SMALL, **OPTIONS[name]), seed)
    signal = torch.randn(2, 7, 24, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)

    # Double precision; softmax and sums over at most 24 numbers.
    torch.testing.assert_close(attention(signal).detach(), written_out(attention, signal), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["not causal", "RoPE", "QK-norm", "soft-cap", "μP"])
def test_a_twin_without_the_option_would_be_noticed(name: str, seed: int) -> None:
    """Written out without the option, the result is another: the comparison above can fail."""
    attention = attention_of(replace(SMALL, **OPTIONS[name]), seed)
    signal = torch.randn(2, 7, 24, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    expected = attention(signal).detach()
    attention.spec = SMALL

    assert (written_out(attention, signal) - expected).abs().max() > 1e-3


@pytest.mark.parametrize("softcap", [None, 2.0])
def test_no_place_sees_what_comes_later(softcap: float | None, seed: int) -> None:
    """Causal: changing a token changes nothing before it; otherwise it does."""
    signal = torch.randn(1, 8, 24, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    changed = signal.clone()
    changed[:, 5] += 1

    for causal in (True, False):
        attention = attention_of(replace(SMALL, causal=causal, attention_softcap=softcap), seed)
        difference = (attention(changed) - attention(signal)).abs().amax(dim=(0, 2))
        assert (difference[:5].max() == 0) == causal
        assert difference[5:].min() > 0


@pytest.mark.parametrize("softcap", [None, 2.0])
def test_dropout_is_for_training_alone(softcap: float | None, seed: int) -> None:
    """With dropout two passes differ while training, and are one function otherwise."""
    attention = attention_of(replace(SMALL, dropout=0.5, attention_softcap=softcap), seed)
    signal = torch.randn(1, 8, 24, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    assert not torch.equal(attention(signal), attention(signal))
    attention.eval()
    torch.testing.assert_close(attention(signal).detach(), written_out(attention, signal))


@pytest.mark.parametrize("gated", [False, True])
def test_the_mlp_branch_equals_its_formula(gated: bool, seed: int) -> None:
    """W_last φ(W_first x), times W_gated x with a gate; with SiLU that is SwiGLU."""
    spec = Transformer(depth=1, width=12, mlp_width=20, activation="silu", gated=gated, bias=False, vocabulary=5, context=4)
    branch = next(module for module in build(spec, seed=seed, dtype=torch.float64).modules() if isinstance(module, FeedForward))
    signal = torch.randn(2, 3, 12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    inner = signal @ branch.first.weight.T
    hidden = inner * torch.sigmoid(inner)
    if branch.gated is not None:
        hidden = hidden * (signal @ branch.gated.weight.T)

    assert (branch.gated is not None) == gated
    torch.testing.assert_close(branch(signal), hidden @ branch.last.weight.T)
