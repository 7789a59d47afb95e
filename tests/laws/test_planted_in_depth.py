"""Faults along depth are named first, their healthy twins stay silent, and training agrees with both."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log, sqrt

import pytest
import torch
from tests.modules import Residual
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer import Mlp, build, preflight
from fathometer.data import Batches, digits
from fathometer.records import Asked
from fathometer.training import evaluate, fit

DATA = digits()
BATCH = (DATA.train_inputs[:64], DATA.train_targets[:64])


class Plain(nn.Module):
    """A user's own stack of linear layers, a ReLU after each but the last."""

    def __init__(self, depth: int, gain: float, bias: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
        self.head = nn.Linear(64, 10)
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=gain / sqrt(64))
            nn.init.constant_(layer.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.head(x)


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    """Return a user's module with a fixed start."""
    torch.manual_seed(0)
    return make()


def tanh(depth: int, gain: float) -> nn.Module:
    """Return plain tanh layers with weights of std gain/√fan_in."""
    return build(Mlp(depth=depth, activation="tanh", init="lecun", gain=gain))


def readout(factor: float) -> nn.Module:
    """Return six healthy layers under a readout whose weights are multiplied."""
    model = build(Mlp(depth=6))
    with torch.no_grad():
        model.readout.weight.mul_(factor)
    return model


@dataclass(frozen=True)
class Planted:
    """A fault in three strengths, the causes that may be named first, and the twin without it."""

    causes: tuple[str, ...]
    faulty: tuple[Callable[[], nn.Module], ...]
    twin: Callable[[], nn.Module]


PLANTED: dict[str, Planted] = {
    "ReLU with too small a gain": Planted(
        ("vanishing_signal",),
        tuple(lambda gain=gain: seeded(lambda: Plain(15, gain)) for gain in (0.35, 0.5, 0.7)),
        lambda: seeded(lambda: Plain(10, sqrt(2))),
    ),
    "tanh as torch starts it": Planted(
        ("vanishing_gradient",),
        tuple(lambda depth=depth: build(Mlp(depth=depth, activation="tanh", init="pytorch")) for depth in (40, 30, 20)),
        lambda: build("orthogonal-tanh-50"),
    ),
    "ReLU as torch starts it": Planted(
        ("vanishing_gradient",),
        tuple(lambda depth=depth: build(Mlp(depth=depth, init="pytorch")) for depth in (40, 30, 20)),
        lambda: build(Mlp(depth=5, init="pytorch")),
    ),
    "chaotic tanh": Planted(
        ("exploding_gradient",),
        (lambda: tanh(50, 2.5), lambda: tanh(50, 2.0), lambda: tanh(20, 2.5)),
        lambda: tanh(20, 1.1),
    ),
    "residual branches that are too strong": Planted(
        ("exploding_signal",),
        tuple(lambda scale=scale: seeded(lambda: Residual(30, scale)) for scale in (3.0, 2.0, 1.0)),
        lambda: seeded(lambda: Residual(30, 30**-0.5)),
    ),
    "ReLU that is biased off": Planted(
        ("dead_units",),
        tuple(lambda bias=bias: seeded(lambda: Plain(6, sqrt(2), bias)) for bias in (-2.0, -0.6, -0.4)),
        lambda: seeded(lambda: Plain(6, sqrt(2))),
    ),
    "tanh driven flat": Planted(
        ("saturation",), (lambda: tanh(5, 20.0), lambda: tanh(5, 10.0), lambda: tanh(5, 7.0)), lambda: tanh(5, 1.1)
    ),
    "deep ReLU, norm without a stream": Planted(
        ("correlation_collapse", "rank_collapse"),
        tuple(lambda depth=depth: build(Mlp(depth=depth, norm="layer")) for depth in (80, 60, 50)),
        lambda: build(Mlp(depth=40, residual="pre-norm")),
    ),
    "deep ReLU, He": Planted(
        ("rank_collapse", "correlation_collapse"),
        tuple(lambda depth=depth: build(Mlp(depth=depth)) for depth in (70, 60, 50)),
        lambda: build(Mlp(depth=40, residual="scaled")),
    ),
    "deep Gaussian tanh": Planted(
        ("rank_collapse",),
        tuple(lambda depth=depth: tanh(depth, 1.0) for depth in (200, 160, 120)),
        lambda: build("orthogonal-tanh-50"),
    ),
    "branches that drown their stream": Planted(
        ("residual_branch_imbalance",),
        tuple(lambda scale=scale: build(Mlp(depth=30, residual="plain", branch_scale=scale)) for scale in (3.0, 2.0, 1.0)),
        lambda: build(Mlp(depth=30, residual="scaled")),
    ),
    "a gain that is too large": Planted(
        ("exploding_signal",),
        tuple(lambda gain=gain: build(Mlp(depth=40, gain=gain)) for gain in (1.5, 1.3, 1.2)),
        lambda: build(Mlp(depth=15)),
    ),
    "post-norm, deep": Planted(
        ("post_norm_imbalance",),
        tuple(lambda depth=depth: build(Mlp(depth=depth, residual="post-norm")) for depth in (200, 160, 120)),
        lambda: build(Mlp(depth=24, residual="post-norm")),
    ),
    "a readout that is sure of itself": Planted(
        ("initial_loss",), (lambda: readout(1e4), lambda: readout(3e3), lambda: readout(1e3)), lambda: readout(1.0)
    ),
}


# The deepest take seconds each: their steps ahead are through up to 200 layers.
DEEP = ("post-norm, deep", "deep Gaussian tanh", "deep ReLU, norm without a stream")


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in DEEP)) for name in PLANTED])
def test_a_planted_fault_is_named_first_and_more_of_it_is_never_judged_milder(name: str, named_and_graded: Callable) -> None:
    """At three strengths the first finding is the fault itself, not what follows from it, and verdicts rise with it."""
    named_and_graded((preflight(make(), BATCH) for make in PLANTED[name].faulty), PLANTED[name].causes)


@pytest.mark.parametrize("name", PLANTED)
def test_the_twin_without_the_fault_is_healthy(name: str) -> None:
    """The same kind of network without the fault has no finding at all."""
    check = preflight(PLANTED[name].twin(), BATCH)

    assert (check.verdict, check.findings) == ("healthy", ())


def share_of_drop(make: Callable[[], nn.Module]) -> float:
    """Return the drop of the held-out loss from ln 10 at the best of three rates of Adam, over that of five He layers."""
    return (log(10) - best_loss(make)) / (log(10) - best_loss(lambda: build("mlp-5")))


def best_loss(make: Callable[[], nn.Module]) -> float:
    """Return the best held-out loss after 200 steps; a run that was stopped has learned nothing."""
    losses = [log(10)]
    for rate in (3e-4, 1e-3, 3e-3):
        model = make()
        batches = Batches(DATA.train_inputs, DATA.train_targets, 64, seed=0)
        if fit(model, batches, Asked(learning_rate=rate)).stopped_at is None:
            losses.append(evaluate(model, [(DATA.test_inputs, DATA.test_targets)]).loss)
    return min(loss for loss in losses if loss == loss)


TRAINED = ("ReLU with too small a gain", "tanh as torch starts it", "chaotic tanh", "ReLU that is biased off",
           "residual branches that are too strong", "deep ReLU, norm without a stream")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_training_agrees(name: str) -> None:
    """The strongest fault, called "will not train", reaches under half of the good network's drop; its twin nine tenths."""
    planted = PLANTED[name]

    assert preflight(planted.faulty[0](), BATCH).verdict == "will not train"
    assert share_of_drop(planted.faulty[0]) < 0.5
    assert share_of_drop(planted.twin) >= 0.9
