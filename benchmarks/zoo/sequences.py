"""Sequences that are drawn: successors, recall, labels, reversal."""

import torch
from torch import Tensor
from torch.nn import functional as F

VOCABULARY, CONTEXT = 32, 32
SYMBOLS, RECALL_LENGTH = 8, 40
REVERSED = 6


def successors(count: int, seed: int, noise: float = 0.1) -> Tensor:
    """Return tokens `(count, CONTEXT + 1)`: each decides four successors, and the one before it which of them comes.

    A share `noise` of the tokens is drawn blindly. One table, whatever the seed.
    """
    table = torch.Generator().manual_seed(0)
    following = torch.stack([torch.randperm(VOCABULARY, generator=table)[:4] for _ in range(VOCABULARY)])
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, VOCABULARY, (count, CONTEXT + 1), generator=generator)
    is_noise = torch.rand(count, CONTEXT + 1, generator=generator) < noise
    for place in range(2, CONTEXT + 1):
        expected = following[tokens[:, place - 1], tokens[:, place - 2] % 4]
        tokens[:, place] = torch.where(is_noise[:, place], tokens[:, place], expected)
    return tokens


def recall(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return sequences `(count, RECALL_LENGTH, SYMBOLS)` whose first step shows the class, and noise follows."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randint(0, SYMBOLS, (count,), generator=generator)
    steps = 0.2 * torch.randn(count, RECALL_LENGTH, SYMBOLS, generator=generator)
    steps[:, 0] = 2 * F.one_hot(classes, SYMBOLS).float()
    return steps, classes


def marked_sequences(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return sequences `(count, 32, SYMBOLS + 1)` with a marked step somewhere; the symbol shown there is the class."""
    generator = torch.Generator().manual_seed(seed)
    symbols = torch.randint(0, SYMBOLS, (count, 32), generator=generator)
    places = torch.randint(0, 32, (count, 1), generator=generator)
    mark = torch.zeros(count, 32).scatter_(1, places, 1.0)
    steps = torch.cat([F.one_hot(symbols, SYMBOLS).float(), mark[..., None]], dim=2)
    return steps, symbols.gather(1, places).squeeze(1)


def reversal(count: int, seed: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Return ((source, what the decoder sees), the source reversed), each `(count, REVERSED)`; 10 is the start."""
    generator = torch.Generator().manual_seed(seed)
    source = torch.randint(0, 10, (count, REVERSED), generator=generator)
    target = source.flip(1)
    start = torch.full((count, 1), 10)
    return (source, torch.cat([start, target[:, :-1]], dim=1)), target
