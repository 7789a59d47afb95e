"""The parts of a transformer, for one sequence."""

from collections.abc import Iterator
from dataclasses import replace

from fathometer.scaling.parts import Part, kept_input, matrix, norm_parameters
from fathometer.spec import Transformer
from fathometer.spec.residual import LEARNED_SCALE, NORM_AFTER, NORM_BEFORE, NORM_INSIDE


def transformer_parts(spec: Transformer, tokens: int, *, causal_half: bool = False, fused: bool = True) -> Iterator[Part]:
    """Yield the parts of a transformer, for one sequence of `tokens`.

    `causal_half` counts only the pairs of places that a causal mask leaves, T(T + 1)/2 of T². `fused` attention keeps no
    T × T numbers; with a soft-cap on them it cannot be fused.
    """
    width = spec.width
    yield Part("embedding", spec.vocabulary * width)
    yield Part("positions", spec.context * width if spec.positions == "learned" else 0)
    for part in _block(spec, tokens, causal_half, fused):
        yield replace(part, times=spec.depth, block="block")
    final = norm_parameters(spec.norm if spec.ends_in_norm else None, width, bias=spec.bias)
    yield Part("norms", final, saved=tokens * width if final else 0)
    readout = matrix("readout", width, spec.vocabulary, bias=False, rows=tokens)
    capped = tokens * spec.vocabulary if spec.logit_softcap else 0
    yield replace(readout, parameters=0 if spec.tied else readout.parameters, saved=readout.saved + capped)


def _block(spec: Transformer, tokens: int, causal_half: bool, fused: bool) -> Iterator[Part]:
    width, queries, keys = spec.width, spec.width, spec.num_kv_heads * spec.head_width
    yield matrix("attention", width, queries + 2 * keys, bias=spec.bias, rows=tokens)
    yield from _attention(spec, tokens, causal_half, fused)
    yield matrix("attention", queries, width, bias=spec.bias, rows=tokens)
    yield from _mlp(spec, tokens)
    places = sum(spec.residual in kinds for kinds in (NORM_BEFORE, NORM_INSIDE, NORM_AFTER))
    norm = norm_parameters(spec.norm_kind, width, bias=spec.bias)
    yield Part("norms", 2 * places * norm, saved=2 * places * tokens * width, stream=tokens * width, rerun=-tokens * width)
    learned = {"rezero": 1, "layerscale": width}.get(spec.residual, 0)
    yield Part("branch scales", 2 * learned, saved=2 * tokens * width if spec.residual in LEARNED_SCALE else 0)


def _attention(spec: Transformer, tokens: int, causal_half: bool, fused: bool) -> Iterator[Part]:
    # Queries times keys, and weights times values: two products of the same size.
    pairs = tokens * (tokens + 1) // 2 if causal_half and spec.causal else tokens * tokens
    kept = tokens * (spec.width + 2 * spec.num_kv_heads * spec.head_width)
    square = spec.num_heads * tokens * tokens
    if spec.attention_softcap:
        kept += 2 * square
    else:
        kept += spec.num_heads * tokens if fused else square
    yield Part("attention scores", macs=2 * pairs * spec.width, saved=kept)
    if spec.qk_norm:
        heads = tokens * (spec.num_heads + spec.num_kv_heads) * spec.head_width
        yield Part("norms", 2 * spec.head_width, saved=heads)


def _mlp(spec: Transformer, tokens: int) -> Iterator[Part]:
    width, hidden, bias = spec.width, spec.hidden_width, spec.bias
    inner = matrix("mlp", width, hidden, bias=bias, rows=tokens)
    yield replace(inner, saved=inner.saved + kept_input(spec.activation, tokens * hidden))
    if spec.gated:
        yield replace(inner, saved=2 * tokens * hidden)  # both factors of the product; the input is kept already
    yield matrix("mlp", hidden, width, bias=bias, rows=tokens)
