"""A check of a user's module leaves the generators as they were, and is the same every time."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fathometer.runs import CoordinateCheck, check_module


class Block(nn.Module):
    """A residual block with dropout, whose training draws as well."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, width))

    def forward(self, signal: Tensor) -> Tensor:
        """Return the stream with what the branch adds."""
        return signal + self.branch(signal)


class Net(nn.Module):
    """A stem, blocks and a readout."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.stem, self.readout = nn.Linear(8, width), nn.Linear(width, 3)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))

    def forward(self, signal: Tensor) -> Tensor:
        """Return three numbers for each sample."""
        signal = self.stem(signal)
        for block in self.blocks:
            signal = block(signal)
        return self.readout(signal)


def draws() -> Iterator[float]:
    """Yield what torch and numpy draw next; Python's generator is moved by the type checks of these tests."""
    yield from (float(torch.rand(())), float(np.random.random()))


def check(name: str | None) -> CoordinateCheck:
    """Return a short check over depth."""
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(6, 8, generator=generator), torch.arange(6) % 3
    return check_module(Net, [batch], sizes=[(16, 2), (16, 4)], base=(16, 2), name=name, steps=2)


@pytest.mark.parametrize("name", [None, "completep"])
def test_generators_are_left_as_they_were(name: str | None) -> None:
    """What is drawn after the check is what would have been drawn without it; and the seed alone decides the check."""
    found = list[tuple[list[float], CoordinateCheck | None]]()
    for seed, is_checked in ((0, False), (0, True), (1, True)):
        torch.manual_seed(seed)
        np.random.seed(seed)
        seen = check(name) if is_checked else None
        found.append((list(draws()), seen))

    assert found[0][0] == found[1][0]
    assert found[1][1] == found[2][1]
