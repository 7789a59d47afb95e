"""Faults of attention are named first, and their healthy twins stay silent."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from fathometer import preflight
from fathometer.data import digits

DATA = digits()
BATCH = (DATA.train_inputs[:64], DATA.train_targets[:64])
ROWS, WIDTH = 8, 32


class Attention(nn.Module):
    """Attention over the rows of a picture; queries and keys are multiplied by a gain; with a stream beside it or without."""

    def __init__(self, depth: int, gain: float = 1.0, has_stream: bool = True) -> None:
        super().__init__()
        self.has_stream = has_stream
        self.embed, self.head = nn.Linear(64 // ROWS, WIDTH), nn.Linear(WIDTH, 10)
        self.places = nn.Parameter(torch.randn(ROWS, WIDTH))
        self.layers = nn.ModuleList(nn.MultiheadAttention(WIDTH, 4, batch_first=True) for _ in range(depth))
        with torch.no_grad():
            for layer in self.layers:
                layer.in_proj_weight[: 2 * WIDTH].mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.reshape(-1, ROWS, 64 // ROWS)) + self.places
        for layer in self.layers:
            answer = layer(x, x, x, need_weights=False)[0]
            x = x + answer if self.has_stream else answer
        return self.head(x.mean(1))


class Encoder(nn.Module):
    """torch's own pre-norm encoder layers over the rows of a picture; queries and keys are multiplied by a gain."""

    def __init__(self, depth: int, gain: float = 1.0) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(64 // ROWS, WIDTH), nn.Linear(WIDTH, 10)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, 4, 2 * WIDTH, dropout=0.0, batch_first=True, norm_first=True) for _ in range(depth)
        )
        with torch.no_grad():
            for layer in self.layers:
                layer.self_attn.in_proj_weight[: 2 * WIDTH].mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.reshape(-1, ROWS, 64 // ROWS))
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1))


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    """Return a user's module with a fixed start."""
    torch.manual_seed(0)
    return make()


@dataclass(frozen=True)
class Planted:
    """A fault in three strengths, the causes that may be named first, and the twin without it."""

    causes: tuple[str, ...]
    strengths: tuple[Callable[[], nn.Module], ...]
    twin: Callable[[], nn.Module]


PLANTED: dict[str, Planted] = {
    "attention without a stream": Planted(
        ("token_rank_collapse",),
        tuple(lambda depth=depth: Attention(depth, has_stream=False) for depth in (8, 6, 3)),
        lambda: Attention(8),
    ),
    "logits that are far too large": Planted(
        ("attention_logit_growth", "attention_entropy_collapse"),
        tuple(lambda gain=gain: Attention(4, gain) for gain in (1e5, 1e4, 100.0)),
        lambda: Attention(4),
    ),
    "sharp attention behind norms": Planted(
        ("attention_entropy_collapse", "attention_logit_growth"),
        tuple(lambda gain=gain: Encoder(6, gain) for gain in (1e4, 1e3, 100.0)),
        lambda: Encoder(6),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_fault_of_attention_is_named_first(name: str, named_and_graded: Callable) -> None:
    """At three strengths the first finding is the fault itself, and more of it is never judged milder."""
    named_and_graded((preflight(seeded(make), BATCH) for make in PLANTED[name].strengths), PLANTED[name].causes)


@pytest.mark.parametrize("name", PLANTED)
def test_the_twin_without_the_fault_is_silent(name: str, silent: Callable) -> None:
    """The same kind of network without the fault is healthy."""
    assert silent(preflight(seeded(PLANTED[name].twin), BATCH))


def test_huge_logits_are_named_before_the_entropy() -> None:
    """Logits in the millions are named by their own name, not by the entropy that follows from them."""
    check = preflight(seeded(lambda: Attention(4, 1e4)), BATCH)

    assert check.findings[0].cause == "attention_logit_growth"
    assert check.findings[0].number > 1e6
