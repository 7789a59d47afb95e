"""Planted faults are named first, their healthy twins stay silent, and training agrees with both."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log, sqrt

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer import Mlp, build, preflight
from fathometer.data import Batches, digits
from fathometer.diagnosis import Preflight
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


class Residual(nn.Module):
    """A user's own residual stack without norm: x + α W₂ relu(W₁ x)."""

    def __init__(self, depth: int, scale: float) -> None:
        super().__init__()
        self.stem, self.head, self.scale = nn.Linear(64, 64), nn.Linear(64, 10), scale
        self.up = nn.ModuleList(_he_layer() for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.up:
            x = x + self.scale * layer(torch.relu(x))
        return self.head(x)


def _he_layer() -> nn.Linear:
    layer = nn.Linear(64, 64)
    nn.init.normal_(layer.weight, std=sqrt(2 / 64))
    return layer


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
        tuple(lambda bias=bias: seeded(lambda: Plain(6, sqrt(2), bias)) for bias in (-5.0, -3.0, -2.0)),
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
        tuple(lambda depth=depth: tanh(depth, 1.0) for depth in (80, 60, 50)),
        lambda: build("orthogonal-tanh-50"),
    ),
    "a readout that is sure of itself": Planted(
        ("initial_loss",), (lambda: readout(1e4), lambda: readout(3e3), lambda: readout(1e3)), lambda: readout(1.0)
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_named_first_and_more_of_it_is_never_judged_milder(name: str) -> None:
    """At three strengths the first finding is the fault itself, not what follows from it, and verdicts rise with it."""
    order = ("at risk", "will not train")
    checks = [preflight(make(), BATCH) for make in PLANTED[name].faulty]
    verdicts = [order.index(check.verdict) for check in checks]

    assert [check.findings[0].cause for check in checks if check.findings[0].cause not in PLANTED[name].causes] == []
    assert verdicts == sorted(verdicts, reverse=True)


@pytest.mark.parametrize("name", PLANTED)
def test_the_twin_without_the_fault_is_healthy(name: str) -> None:
    """The same kind of network without the fault has no finding at all."""
    check = preflight(PLANTED[name].twin(), BATCH)

    assert (check.verdict, check.findings) == ("healthy", ())


def test_a_number_that_overflows_is_named_with_its_place() -> None:
    """Weights of 1e20 are finite, what comes out of the third block is not."""
    model = build(Mlp(depth=5))
    with torch.no_grad():
        for block in model.blocks:
            block.linear.weight.mul_(1e20)
    check = preflight(model, BATCH)

    assert (check.verdict, check.findings[0].cause) == ("will not train", "non_finite")
    assert "blocks.1" in check.findings[0].sentence


@pytest.mark.parametrize(
    ("rate", "healthy"), [(1e-3, True), (1.0, False), (1e-10, False)], ids=("usual", "too large", "too small")
)
def test_a_rate_that_does_not_fit_the_weights_is_named(rate: float, healthy: bool) -> None:
    """Adam at 1e-3 passes; at 1 it writes over the weights, at 1e-10 it does not move them."""
    model = build(Mlp(depth=5))
    check = preflight(model, BATCH, optimizer=torch.optim.Adam(model.parameters(), lr=rate))

    assert [finding.cause for finding in check.findings] == ([] if healthy else ["update_size"])


# Away from the limits, one of each verdict and each family.
FAR_FROM_LIMITS: dict[str, Callable[[], nn.Module]] = {
    "torch tanh": lambda: build("tanh-50@depth=30"),
    "chaos": lambda: tanh(30, 3.0),
    "strong branches": lambda: seeded(lambda: Residual(30, 2.0)),
    "pre-norm": lambda: build("pre-norm-96@depth=24"),
    "five layers": lambda: build("mlp-5"),
    "batch norm": lambda: build(Mlp(depth=5, norm="batch")),
}


def causes(check: Preflight) -> tuple[str, list[str]]:
    """Return the verdict and the causes in order."""
    return check.verdict, [finding.cause for finding in check.findings]


@pytest.mark.parametrize("factor", [1e-6, 65536.0])
@pytest.mark.parametrize("name", FAR_FROM_LIMITS)
def test_the_scale_of_the_loss_changes_nothing(name: str, factor: float) -> None:
    """The verdict and the causes are those of the loss itself, whatever constant multiplies it."""
    check = preflight(FAR_FROM_LIMITS[name](), BATCH, loss_fn=F.cross_entropy)
    scaled = preflight(FAR_FROM_LIMITS[name](), BATCH, loss_fn=lambda output, targets: factor * F.cross_entropy(output, targets))

    assert causes(scaled) == causes(check)


# Not batch norm: over two samples it leaves a sign, and nothing passes back.
@pytest.mark.parametrize("name", [name for name in FAR_FROM_LIMITS if name != "batch norm"])
def test_two_samples_never_contradict_sixty_four(name: str) -> None:
    """With two samples the verdict is the same, or unknown; "unknown" is not said of a network that will not train."""
    many = preflight(FAR_FROM_LIMITS[name](), BATCH)
    two = preflight(FAR_FROM_LIMITS[name](), (BATCH[0][:2], BATCH[1][:2]))

    assert two.verdict in ((many.verdict,) if many.verdict == "will not train" else (many.verdict, "unknown"))


@pytest.mark.parametrize("name", ["torch tanh", "strong branches", "pre-norm", "five layers"])
def test_half_the_digits_make_the_same_verdict(name: str) -> None:
    """In bfloat16 the verdict and the first cause are those of float32."""
    inputs, targets = BATCH
    full = preflight(FAR_FROM_LIMITS[name](), BATCH)
    half = preflight(FAR_FROM_LIMITS[name]().bfloat16(), (inputs.bfloat16(), targets))

    assert (half.verdict, causes(half)[1][:1]) == (full.verdict, causes(full)[1][:1])


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


@pytest.mark.parametrize("outputs", [1, 2, 4])
def test_a_narrow_readout_is_no_collapse(outputs: int) -> None:
    """A shallow network with few outputs is healthy: two outputs cannot differ in more than two directions."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, outputs))
    targets = torch.randn(64, 1) if outputs == 1 else torch.randint(0, outputs, (64,))

    assert preflight(model, (torch.randn(64, 20), targets)).verdict == "healthy"
