"""Transformers of today: RMSNorm, rotary positions, QK-norm, gates, experts."""

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Shape:
    """What one of these networks is. `place` is "pre", "peri", "post" or "bare"; `mlp` "squared", "gated" or "experts"."""

    depth: int = 4
    width: int = 32
    place: str = "pre"
    mlp: str = "squared"
    qk_norm: bool = False
    qk_gain: float = 1.0
    zero: bool = False
    layer_scale: float | None = None
    branch: float = 1.0
    std: float | None = None
    softcap: float | None = None
    causal: bool = True
    blind: bool = False  # no token sees itself, so that the first sees nothing at all


class Attention(nn.Module):
    """Two heads, rotary positions, and no biases."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(shape.width, shape.width, bias=False) for _ in range(4))
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        q, k, v = (f(x).view(batch, time, 2, width // 2).transpose(1, 2) for f in (self.query, self.key, self.value))
        q, k = turned(q), turned(k)
        if self.shape.qk_norm:
            q, k = F.rms_norm(q, q.shape[-1:]), F.rms_norm(k, k.shape[-1:])
        q, k = self.shape.qk_gain * q, self.shape.qk_gain * k
        if self.shape.blind:
            scores = q @ k.transpose(-2, -1) / sqrt(width // 2)
            seen = torch.ones(time, time, dtype=torch.bool).tril(-1)
            y = scores.masked_fill(~seen, -torch.inf).softmax(-1) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=self.shape.causal)
        return self.out(y.transpose(1, 2).reshape(batch, time, width))


def turned(x: Tensor) -> Tensor:
    """Turn pairs of numbers by an angle that grows with the position. Su et al. 2021."""
    time, size = x.shape[-2:]
    angle = torch.arange(time)[:, None] * 100.0 ** (-torch.arange(size // 2) / (size // 2))
    first, second = x.chunk(2, dim=-1)
    cosine, sine = angle.cos(), angle.sin()
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)


class Mlp(nn.Module):
    """Squared ReLU, or a SiLU gate."""

    def __init__(self, width: int, gated: bool) -> None:
        super().__init__()
        self.up, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(3 * width, width, bias=False)
        self.gate = nn.Linear(width, 3 * width, bias=False) if gated else None

    def forward(self, x: Tensor) -> Tensor:
        if self.gate is None:
            return self.out(F.relu(self.up(x)).square())
        return self.out(F.silu(self.gate(x)) * self.up(x))


class Experts(nn.Module):
    """Four experts as 3-D parameters; a router picks two for each token."""

    def __init__(self, width: int, count: int = 4) -> None:
        super().__init__()
        self.router = nn.Linear(width, count, bias=False)
        self.up = nn.Parameter(torch.randn(count, width, 2 * width) / sqrt(width))
        self.down = nn.Parameter(torch.randn(count, 2 * width, width) / sqrt(2 * width))

    def forward(self, x: Tensor) -> Tensor:
        chances = self.router(x).softmax(-1)
        best = chances.topk(2, dim=-1)
        weights = torch.zeros_like(chances).scatter(-1, best.indices, best.values / best.values.sum(-1, keepdim=True))
        hidden = F.silu(torch.einsum("btw,ewh->beth", x, self.up))
        return torch.einsum("beth,ehw,bte->btw", hidden, self.down, weights)


class Block(nn.Module):
    """Attention and an MLP, each with its norms."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        mlp = Experts(width) if shape.mlp == "experts" else Mlp(width, shape.mlp == "gated")
        self.parts = nn.ModuleList([Attention(shape), mlp])
        self.before = nn.ModuleList(nn.RMSNorm(width) if shape.place != "post" else nn.Identity() for _ in range(2))
        self.inside = nn.ModuleList(nn.RMSNorm(width) if shape.place == "peri" else nn.Identity() for _ in range(2))
        self.after = nn.ModuleList(nn.RMSNorm(width) if shape.place == "post" else nn.Identity() for _ in range(2))
        start = shape.layer_scale
        self.scales = None if start is None else nn.ParameterList(torch.full((width,), start) for _ in range(2))
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        for index, part in enumerate(self.parts):
            y = self.shape.branch * self.inside[index](part(self.before[index](x)))
            if self.scales is not None:
                y = self.scales[index] * y
            x = y if self.shape.place == "bare" else self.after[index](x + y)
        return x


class Modern(nn.Module):
    """Embedding, blocks, norm, own readout: logits `(batch, time, 32)`."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed = nn.Embedding(32, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.norm = nn.RMSNorm(shape.width)
        self.head = nn.Linear(shape.width, 32, bias=False)
        self.softcap = shape.softcap
        start(self, shape)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)


@torch.no_grad()
def start(model: Modern, shape: Shape) -> None:
    """Draw every matrix with 1/√fan_in, or with one std; with `zero`, what writes to the stream and the readout is 0."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5 if shape.std is None else shape.std)
            if shape.zero and (name.endswith("out") or name == "head"):
                nn.init.zeros_(module.weight)
