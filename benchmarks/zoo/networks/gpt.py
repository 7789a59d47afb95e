"""A GPT and an encoder as minimal code has them: fused queries, keys and values."""

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Self-attention of two heads; `mask_row` masks one whole row, as a bug in padding does."""

    def __init__(self, width: int, *, causal: bool, qk_gain: float = 1.0, mask_row: bool = False) -> None:
        super().__init__()
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.causal, self.qk_gain, self.mask_row = causal, qk_gain, mask_row

    def forward(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        q, k, v = self.qkv(x).view(batch, time, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        if self.mask_row:
            open_ = torch.ones(time, time, dtype=torch.bool).tril(-1)  # the first token may look at nothing
            scores = (q @ k.transpose(-2, -1) / sqrt(width // 2)).masked_fill(~open_, -torch.inf)
            y = scores.softmax(-1) @ v
        else:
            y = F.scaled_dot_product_attention(self.qk_gain * q, self.qk_gain * k, v, is_causal=self.causal)
        return self.project(y.transpose(1, 2).reshape(batch, time, width))


class Block(nn.Module):
    """Attention and an MLP; `place` is "pre", "post", or "bare" (no stream at all)."""

    def __init__(self, width: int, place: str, branch: float = 1.0, has_mlp: bool = True, **attention: object) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, **attention)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)) if has_mlp else None
        self.place, self.branch = place, branch

    def forward(self, x: Tensor) -> Tensor:
        for norm, part in ((self.ln_1, self.attn), (self.ln_2, self.mlp)):
            if part is None:
                continue
            if self.place == "post":
                x = norm(x + self.branch * part(x))
            else:
                x = self.branch * part(norm(x)) + (x if self.place == "pre" else 0)
        return x


class Gpt(nn.Module):
    """Embedding, positions, blocks, norm, tied or own readout: logits `(batch, time, vocabulary)`."""

    def __init__(
        self, depth: int, width: int = 32, *, place: str = "pre", std: float = 0.08, scaled: bool = True, tied: bool = False,
        branch: float = 1.0, **attention: object
    ) -> None:  # fmt: skip
        super().__init__()
        self.wte, self.wpe = nn.Embedding(32, width), nn.Embedding(32, width)
        self.h = nn.ModuleList(Block(width, place, branch, causal=True, **attention) for _ in range(depth))
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, 32, bias=False)
        gpt2_start(self, std, depth if scaled else None)
        if tied:
            self.lm_head.weight = self.wte.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


class RowReader(nn.Module):
    """An encoder over the eight rows of a digit, read out at a first token of its own."""

    def __init__(
        self, depth: int, width: int = 32, *, place: str = "pre", std: float | None = None, inputs: int = 8, length: int = 8,
        outputs: int = 10, **block: object
    ) -> None:  # fmt: skip
        super().__init__()
        self.embed = nn.Linear(inputs, width)
        self.cls = nn.Parameter(0.5 * torch.randn(1, 1, width))
        self.positions = nn.Parameter(0.5 * torch.randn(length + 1, width))
        self.layers = nn.ModuleList(Block(width, place, causal=False, **block) for _ in range(depth))
        self.norm = nn.LayerNorm(width) if place != "post" else nn.Identity()
        self.head = nn.Linear(width, outputs)
        if std is not None:
            gpt2_start(self, std, None)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.cls.expand(len(x), -1, -1), self.embed(x)], dim=1) + self.positions
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x[:, 0]))


def gpt2_start(model: nn.Module, std: float, depth: int | None) -> None:
    """Draw all matrices with one std, and with std/√(2·depth) those that write to the stream, unless `depth` is None."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            writes = depth is not None and name.endswith(("project", "mlp.2"))
            nn.init.normal_(module.weight, std=std / sqrt(2 * depth) if writes and depth else std)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
