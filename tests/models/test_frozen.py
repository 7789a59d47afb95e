"""Frozen parts: gradients are read where they flow, and are unknown, not 0, where none can."""

import pytest
import torch
from torch import Tensor, nn

from fathometer.instruments import Sounding, find_depth_points, sound
from fathometer.instruments.trace import trace_of

DEPTH, WIDTH = 4, 8
X = torch.randn(6, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Block(nn.Module):
    """A residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(torch.tanh(self.first(x)))


def network(*frozen: str) -> nn.Module:
    """Return a stem, blocks and a readout, some of them frozen."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Sequential(*[Block() for _ in range(DEPTH)]), nn.Linear(WIDTH, 2)).double()
    for name in frozen:
        model.get_submodule(name).requires_grad_(False)
    return model


def sounded(model: nn.Module) -> Sounding:
    """Return the sounding of a model at its blocks."""
    points = find_depth_points(model, trace_of(model, lambda: model(X)))
    assert [point.name for point in points.points] == [f"1.{index}" for index in range(DEPTH)]
    return sound(model, lambda: model(X), lambda output: output.square().sum(), points, num_samples=len(X))


def by_hand(model: nn.Module) -> list[float]:
    """Return the gradient's second moments at the blocks' outputs, over that at the model's, all parameters free."""
    hidden, states = model[0](X).requires_grad_(), []
    for block in model[1]:
        hidden = block(hidden)
        states.append(hidden)
    output = model[2](hidden)
    at_output, *gradients = torch.autograd.grad(output.square().sum(), [output, *states])
    return [float(gradient.square().mean() / at_output.square().mean()) for gradient in gradients]


@pytest.mark.parametrize(
    ("frozen", "unknown"),
    [
        ((), 0),
        (("2",), 0),
        (("1",), 0),  # the stem is free: the gradient goes through all frozen blocks
        (("1.1", "1.2"), 0),
        (("0",), 0),
        (("0", "1.0"), 1),
        (("0", "1.0", "1.1", "1.2"), 3),
        (("0", "1"), DEPTH),  # only the readout learns
        (("0", "1.0", "1.2"), 1),
    ],
)
def test_gradients_are_read_where_they_flow(frozen: tuple[str, ...], unknown: int) -> None:
    """Blocks before the first free parameter have none; behind it, frozen or not, they have the one of a free network."""
    model = network(*frozen)
    column = sounded(model).columns.get("gradient", [None] * DEPTH)

    assert column[:unknown] == [None] * unknown
    assert column[unknown:] == pytest.approx(by_hand(model)[unknown:], rel=1e-9)  # float64, the same sums


def test_the_forward_pass_is_measured_all_the_same() -> None:
    """What is frozen has the same signal."""
    assert sounded(network("0", "1.0")).columns["signal"] == sounded(network()).columns["signal"]
