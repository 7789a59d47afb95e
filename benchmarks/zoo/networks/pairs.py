"""An encoder and a decoder: torch's own transformer over two sequences."""

import torch
from torch import Tensor, nn


class Pair(nn.Module):
    """Logits `(batch, time, 10)` from a source and what the decoder has seen so far."""

    def __init__(self, depth: int, width: int = 32, *, norm_first: bool = True, cross: float = 1.0) -> None:
        super().__init__()
        self.words, self.places, self.steps = nn.Embedding(11, width), nn.Embedding(8, width), nn.Embedding(8, width)
        encoder = nn.TransformerEncoderLayer(width, 4, 64, 0.0, batch_first=True, norm_first=norm_first)
        decoder = nn.TransformerDecoderLayer(width, 4, 64, 0.0, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(encoder, depth, nn.LayerNorm(width), enable_nested_tensor=False)
        self.decoder = nn.TransformerDecoder(decoder, depth, nn.LayerNorm(width))
        self.out = nn.Linear(width, 10)
        self.cross = cross
        for parameter in [*self.encoder.parameters(), *self.decoder.parameters()]:
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, source: Tensor, seen: Tensor) -> Tensor:
        order = torch.arange(source.shape[1])
        mask = torch.ones(len(order), len(order), dtype=torch.bool).triu(1)
        memory = self.cross * self.encoder(self.words(source) + self.places(order))
        return self.out(self.decoder(self.words(seen) + self.steps(order), memory, tgt_mask=mask))
