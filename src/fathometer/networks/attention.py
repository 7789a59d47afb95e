"""The attention branch: each place looks at the places before it."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.networks.layers import make_norm
from fathometer.networks.positions import rotate
from fathometer.parametrizations.roles import Role
from fathometer.spec import Transformer

Heads = Float[Tensor, "batch heads time head_width"]
SharedHeads = Float[Tensor, "batch shared_heads time head_width"]


class Attention(nn.Module):
    """W_o · softmax(cap(s · queries · keys)) · values, in `num_heads` heads; groups of them share keys and values.

    s is `spec.attention_scale`. Queries and keys are normed, then turned (RoPE), where the spec says so. Without a soft-cap
    torch's fused attention is used.
    """

    def __init__(self, spec: Transformer) -> None:
        super().__init__()
        self.spec = spec
        key_width = spec.num_kv_heads * spec.head_width
        self.query = nn.Linear(spec.width, spec.width, bias=spec.bias)
        self.key = nn.Linear(spec.width, key_width, bias=spec.bias)
        self.value = nn.Linear(spec.width, key_width, bias=spec.bias)
        self.output = nn.Linear(spec.width, spec.width, bias=spec.bias)
        norm = "rms" if spec.qk_norm else None
        self.query_norm = make_norm(norm, spec.head_width)
        self.key_norm = make_norm(norm, spec.head_width)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, signal: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch time width"]:
        queries = self._placed(self.query_norm(self._split(self.query(signal))))
        keys = self._placed(self.key_norm(self._split(self.key(signal))))
        mixed = self._mix(queries, self._shared(keys), self._shared(self._split(self.value(signal))))
        return self.dropout(self.output(mixed.transpose(1, 2).flatten(2)))

    def matrices(self) -> Iterator[tuple[Role, nn.Linear]]:
        """Yield the four matrices with their roles."""
        yield "query_key", self.query
        yield "query_key", self.key
        yield "hidden", self.value
        yield "branch_last", self.output

    def _split(self, signal: Float[Tensor, "batch time units"]) -> Heads:
        return signal.unflatten(-1, (-1, self.spec.head_width)).transpose(1, 2)

    def _placed(self, heads: Heads) -> Heads:
        return rotate(heads, self.spec.rope_base) if self.spec.positions == "rope" else heads

    def _shared(self, heads: SharedHeads) -> Heads:
        group = self.spec.num_heads // self.spec.num_kv_heads
        return heads if group == 1 else heads.repeat_interleave(group, dim=1)

    def _mix(self, queries: Heads, keys: Heads, values: Heads) -> Heads:
        spec, dropout = self.spec, self.spec.dropout if self.training else 0.0
        if spec.attention_softcap is None:
            return F.scaled_dot_product_attention(
                queries, keys, values, dropout_p=dropout, is_causal=spec.causal, scale=spec.attention_scale
            )
        scores = softcap(spec.attention_scale * queries @ keys.transpose(-1, -2), spec.attention_softcap)
        if spec.causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(later, float("-inf"))
        return F.dropout(scores.softmax(dim=-1), dropout) @ values


def softcap(signal: Float[Tensor, "*shape"], cap: float | None) -> Float[Tensor, "*shape"]:
    """Return c·tanh(x/c), which never leaves (-c, c); x itself where there is no cap."""
    return signal if cap is None else cap * torch.tanh(signal / cap)
