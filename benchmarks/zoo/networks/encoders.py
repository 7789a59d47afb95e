"""Encoders from torch's own layers, vision transformers, and mixers."""

import torch
from torch import Tensor, nn


class TorchEncoder(nn.Module):
    """`nn.TransformerEncoder` over the rows of a digit, read at a first token of zeros."""

    def __init__(
        self, depth: int, width: int = 32, *, norm_first: bool, inputs: int = 8, length: int = 8, outputs: int = 10
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.places = nn.Parameter(0.5 * torch.randn(length + 1, width))
        layer = nn.TransformerEncoderLayer(width, 4, 64, 0.0, "gelu", batch_first=True, norm_first=norm_first)
        norm = nn.LayerNorm(width) if norm_first else None
        self.encoder = nn.TransformerEncoder(layer, depth, norm, enable_nested_tensor=False)
        for parameter in self.encoder.parameters():  # the layers are copies of one another: each is drawn anew
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
        self.out = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        tokens = nn.functional.pad(self.enter(x), (0, 0, 1, 0)) + self.places
        return self.out(self.encoder(tokens)[:, 0])


class VisionBlock(nn.Module):
    """Pre-norm attention and MLP with biases, and LayerScale where `scale` is given."""

    def __init__(self, width: int, scale: float | None, skip: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.scale1, self.scale2 = (None if scale is None else nn.Parameter(torch.full((width,), scale)) for _ in range(2))
        self.skip = 1.0 if skip else 0.0

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm1(x)
        y = self.attention(inner, inner, inner, need_weights=False)[0]
        x = self.skip * x + (y if self.scale1 is None else self.scale1 * y)
        y = self.mlp(self.norm2(x))
        return self.skip * x + (y if self.scale2 is None else self.scale2 * y)


class Vit(nn.Module):
    """Patches of 2×2 by a convolution, a class token, blocks, a readout (0 at first where `zero_head`)."""

    def __init__(
        self, depth: int, width: int = 32, *, scale: float | None = None, zero_head: bool = False, skip: bool = True
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 2, stride=2)
        self.token = nn.Parameter(0.2 * torch.randn(1, 1, width))
        self.positions = nn.Parameter(0.2 * torch.randn(1, 17, width))
        self.blocks = nn.ModuleList(VisionBlock(width, scale, skip) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)
        if zero_head:
            nn.init.zeros_(self.head.weight)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class MixerBlock(nn.Module):
    """An MLP over the tokens and one over the channels, with ReLU. Tolstikhin et al. 2021."""

    def __init__(self, tokens: int, width: int, norm: bool, branch: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width) if norm else nn.Identity() for _ in range(2))
        self.over_tokens = nn.Sequential(nn.Linear(tokens, 32), nn.ReLU(), nn.Linear(32, tokens))
        self.over_channels = nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, width))
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.branch * self.over_tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.branch * self.over_channels(self.norm2(x))


class Mixer(nn.Module):
    """A mixer over the eight rows of a digit."""

    def __init__(self, depth: int, width: int = 32, *, norm: bool = True, branch: float = 1.0) -> None:
        super().__init__()
        self.enter = nn.Linear(8, width)
        self.blocks = nn.Sequential(*(MixerBlock(8, width, norm, branch) for _ in range(depth)))
        self.norm, self.out = nn.LayerNorm(width) if norm else nn.Identity(), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.norm(self.blocks(self.enter(x))).mean(1))
