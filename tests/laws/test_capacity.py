"""Capacity is what depth can do, not what it does at a random start (Hanin & Rolnick 2019)."""

import torch

from fathometer.instruments import pieces_on_line
from fathometer.networks import build
from fathometer.spec import Mlp
from fathometer.theory import tent_network

UNITS, SEEDS = 48, 10


def mean_pieces(depth: int) -> float:
    """Return the mean number of pieces along a line through the data, of He's start, 48 units in so many layers."""
    counts = []
    for seed in range(SEEDS):
        model = build(Mlp(depth=depth, width=UNITS // depth, inputs=8, outputs=1, bias_std=0.3), seed=seed)
        start, end = torch.randn(2, 8, generator=torch.Generator().manual_seed(seed)) * 3
        counts.append(pieces_on_line(model, start, end).count)
    return sum(counts) / SEEDS


def test_pieces_at_a_random_start_do_not_grow_with_depth() -> None:
    """48 units in 1, 2, 4 or 6 layers give about as many pieces, fewer than there are units; the best 48 give 2^24."""
    means = {depth: mean_pieces(depth) for depth in (1, 2, 4, 6)}

    assert max(means.values()) < UNITS
    # Each is within a factor of two of the shallow one; depth could multiply them by 2^24 / 49.
    assert all(0.5 < mean / means[1] < 2 for mean in means.values())
    assert tent_network(UNITS // 2).num_units == UNITS
