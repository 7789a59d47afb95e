"""Faults that the first loss shows are named first, and their healthy twins stay silent."""

from collections.abc import Callable
from dataclasses import dataclass
from math import e, log1p

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer import Mlp, build, preflight
from fathometer.data import digits

DATA = digits()
BATCH = (DATA.train_inputs[:64], DATA.train_targets[:64])


class Stack(nn.Module):
    """He layers; what leaves the layer `cut` is detached, and the first `frozen` layers do not move."""

    def __init__(self, depth: int, *, cut: int = 0, frozen: int = 0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(64, 64), nn.ReLU()) for _ in range(depth))
        self.head, self.cut = nn.Linear(64, 10), cut
        for number, layer in enumerate(self.layers, 1):
            nn.init.kaiming_normal_(layer[0].weight, nonlinearity="relu")
            layer.requires_grad_(number > frozen)

    def forward(self, x: Tensor) -> Tensor:
        for number, layer in enumerate(self.layers, 1):
            x = layer(x).detach() if number == self.cut else layer(x)
        return self.head(x)


class Ending(nn.Module):
    """A network with a function after it."""

    def __init__(self, model: nn.Module, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.function = model, function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.model(x))


def probabilities(factor: float) -> nn.Module:
    """Return a network with a softmax at its end, before which the readout is multiplied."""
    model = build(Mlp(depth=5))
    with torch.no_grad():
        model.readout.weight.mul_(factor)
    return Ending(model, lambda x: x.softmax(-1))


def multiplied(factor: float) -> nn.Module:
    """Return eight layers whose weights are multiplied."""
    model = build(Mlp(depth=8))
    with torch.no_grad():
        for block in model.blocks:
            block.linear.weight.mul_(factor)
    return model


@dataclass(frozen=True)
class Planted:
    """A fault in three strengths, the cause that is named first, and the twin without it."""

    cause: str
    strengths: tuple[Callable[[], nn.Module], ...]
    twin: Callable[[], nn.Module]


PLANTED: dict[str, Planted] = {
    "weights that overflow": Planted(
        "non_finite", tuple(lambda factor=factor: multiplied(factor) for factor in (1e20, 1e12, 1e9)), lambda: multiplied(1.0)
    ),
    "a logarithm of 0": Planted(
        "non_finite",
        tuple(lambda depth=depth: Ending(build(Mlp(depth=depth)), lambda x: torch.log(F.relu(x))) for depth in (8, 4, 2)),
        lambda: Ending(build(Mlp(depth=4)), lambda x: torch.log(F.softplus(x))),
    ),
    "a softmax before the loss": Planted(
        "softmax_before_loss",
        tuple(lambda factor=factor: probabilities(factor) for factor in (100.0, 10.0, 1.0)),
        lambda: Ending(build(Mlp(depth=5)), lambda x: x.log_softmax(-1)),
    ),
    "a detach behind most layers": Planted(
        "unused_parameters",
        tuple(lambda depth=depth, cut=cut: Stack(depth, cut=cut) for depth, cut in ((20, 20), (20, 15), (12, 10))),
        lambda: Stack(12),
    ),
    "frozen layers that never learnt": Planted(
        "frozen_parameters",
        tuple(lambda depth=depth: Stack(depth, frozen=depth) for depth in (20, 12, 6)),
        lambda: Stack(6, frozen=1),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_fault_at_the_start_is_named_first(name: str, named_and_graded: Callable) -> None:
    """At three strengths the first finding is the fault itself, and more of it is never judged milder."""
    torch.manual_seed(0)
    named_and_graded((preflight(make(), BATCH) for make in PLANTED[name].strengths), (PLANTED[name].cause,))


@pytest.mark.parametrize("name", PLANTED)
def test_the_twin_without_the_fault_is_silent(name: str, silent: Callable) -> None:
    """The same kind of network without the fault is healthy; a frozen part is a note."""
    torch.manual_seed(0)
    assert silent(preflight(PLANTED[name].twin(), BATCH))


def test_a_number_that_overflows_is_named_with_its_place() -> None:
    """Weights of 1e20 are finite, what comes out of the second block is not."""
    check = preflight(multiplied(1e20), BATCH)

    assert (check.verdict, check.findings[0].cause) == ("will not train", "non_finite")
    assert "blocks.1" in check.findings[0].sentence


def test_the_loss_that_a_second_softmax_leaves_is_said() -> None:
    """Ten classes cannot come under log(1 + 9/e) = 1.46, and the sentence says so; two classes are a risk only."""
    ten = preflight(probabilities(1.0), BATCH)
    two = preflight(Ending(build(Mlp(depth=5, outputs=2)), lambda x: x.softmax(-1)), (BATCH[0], BATCH[1] % 2))

    assert f"{log1p(9 / e):.2f}" in ten.findings[0].sentence
    assert (ten.verdict, two.verdict) == ("will not train", "at risk")
