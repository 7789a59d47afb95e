"""Attention draws tokens together: cubically alone, linearly beside a stream (Dong 2021), and as Noci 2022 has it."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fathometer.instruments import find_depth_points, listen, sound
from fathometer.instruments.geometry import as_places, token_spread

TOKENS, WIDTH = 8, 32


class Attention(nn.Module):
    """Softmax attention with one head, with a stream beside it or without."""

    def __init__(self, width: int, skip: float, branch: float = 1.0, uniform: bool = False) -> None:
        super().__init__()
        self.skip, self.branch = skip, branch
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        for layer in (self.query, self.key, self.value):
            nn.init.normal_(layer.weight, std=width**-0.5)
        if uniform:
            nn.init.zeros_(self.query.weight)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.query(x) @ self.key(x).mT / x.shape[-1] ** 0.5
        return self.skip * x + self.branch * (scores.softmax(-1) @ self.value(x))


def spreads(model: nn.Sequential, x: Tensor) -> list[float]:
    """Return the token spread that `sound` finds after each block."""
    trace: list[tuple[str, int]] = []
    with torch.no_grad(), listen(model, on_call=lambda call: trace.append((call.name, call.index))):
        model(x)
    points = find_depth_points(model, trace, [str(number) for number in range(len(model))])
    return sound(model, lambda: model(x), lambda y: y.square().mean(), points, num_samples=len(x)).columns["token_spread"]


def exponent(skip: float) -> float:
    """Return the slope of log spread after a block against log spread before it, for tokens nearer and nearer."""
    torch.manual_seed(0)
    block = Attention(WIDTH, skip).double()
    common, own = torch.randn(4, 1, WIDTH).double(), torch.randn(4, TOKENS, WIDTH).double()
    before, after = [], []
    for size in np.geomspace(1e-3, 1e-2, 5):
        x = common + size * own
        before.append(token_spread(as_places(x)))
        after.append(spreads(nn.Sequential(block), x)[0])
    return float(np.polyfit(np.log(before), np.log(after), 1)[0])


def test_attention_alone_contracts_cubically() -> None:
    """What tells tokens apart is raised to the third power by a block of pure attention (facts: 3.00)."""
    assert exponent(skip=0.0) == pytest.approx(3.0, abs=0.05)  # the next order is a hundredth of the size of the difference


def test_with_a_stream_it_does_not() -> None:
    """The control: beside a stream the difference between tokens is passed on in proportion (facts: 1.00)."""
    assert exponent(skip=1.0) == pytest.approx(1.0, abs=0.05)


def noci(num_blocks: int, branch: float, num_tokens: int) -> float:
    """Return the cosine of two tokens after blocks of uniform attention, from orthogonal tokens: exact at infinite width.

    The mean token grows by 1 + a² with each block and the rest stays: ρ = (g - 1)/(n + g - 1) with g = (1 + a²)^L.
    """
    growth = (1 + branch**2) ** num_blocks
    return (growth - 1) / (num_tokens + growth - 1)


@pytest.mark.parametrize(("depth", "branch"), [(1, 1.0), (4, 1.0), (8, 1.0), (8, 8**-0.5)], ids=str)
def test_uniform_attention_follows_noci(depth: int, branch: float) -> None:
    """The cosine of tokens after each block is Noci's, with full branches and with branches of 1/√depth."""
    torch.manual_seed(1)
    width = 1024
    model = nn.Sequential(*[Attention(width, 1.0, branch, uniform=True) for _ in range(depth)])
    x = torch.linalg.qr(torch.randn(16, width, TOKENS))[0].mT * width**0.5
    told = [1 - spread for spread in spreads(model, x)]

    # 28 pairs of 16 samples share the weights of each block: 1/√width = 0.03 for each block, halved by the stream.
    assert told == pytest.approx([noci(block, branch, TOKENS) for block in range(1, depth + 1)], abs=0.03)


def test_scaled_branches_keep_tokens_apart() -> None:
    """Branches of 1/√depth hold the cosine under (e - 1)/(n + e - 1) at any depth, where full ones make tokens one."""
    assert noci(48, 48**-0.5, TOKENS) < (np.e - 1) / (TOKENS + np.e - 1) < 0.2
    assert noci(48, 1.0, TOKENS) > 0.999


def test_pure_attention_collapses_in_a_few_blocks() -> None:
    """Five blocks of pure attention make tokens one as far as float64 can tell; with a stream they stay apart."""
    torch.manual_seed(0)
    x = torch.randn(4, TOKENS, WIDTH).double()
    alone = spreads(nn.Sequential(*[Attention(WIDTH, 0.0).double() for _ in range(5)]), x)
    beside = spreads(nn.Sequential(*[Attention(WIDTH, 1.0).double() for _ in range(5)]), x)

    assert alone[0] > 0.01
    assert alone[-1] <= 1e-25
    assert all(later < earlier for earlier, later in pairwise(alone) if later > 1e-29)
    assert beside[-1] > 0.01
