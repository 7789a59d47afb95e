"""A verdict has no units: not those of the loss, not the batch, not the digits kept."""

from collections.abc import Callable
from functools import cache

import jaxtyping
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.data import digits
from fathometer.diagnosis import Preflight, preflight
from fathometer.networks import build

# What two samples cannot tell: design, "Verdicts without units".
UNKNOWN_AT_TWO = {"correlation_collapse", "rank_collapse", "dead_units", "batchnorm_explosion"}
Answer = tuple[str, tuple[str, ...]]
SCALES = (1e-6, 1.0, 65536.0)


class Block(nn.Module):
    """x + scale · W₂ relu(W₁ x), as a user writes it."""

    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        self.up, self.down, self.scale = nn.Linear(width, width), nn.Linear(width, width), scale

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.down(torch.relu(self.up(x)))


class Residual(nn.Module):
    """A user's residual network that ends in a norm."""

    def __init__(self, depth: int, scale: float) -> None:
        super().__init__()
        self.stem = nn.Linear(64, 64)
        self.blocks = nn.ModuleList(Block(64, scale) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class FunctionalTanh(nn.Module):
    """A user's plain network that calls torch.tanh by itself."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.layers, self.head = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth)), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


class Images(nn.Module):
    """A user's convolutional network with BatchNorm."""

    def __init__(self, depth: int, channels: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        each = (
            nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()) for _ in range(depth)
        )
        self.blocks, self.head = nn.Sequential(*each), nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(torch.relu(self.stem(x.reshape(-1, 1, 8, 8)))).mean(dim=(2, 3)))


def from_preset(name: str) -> Callable[[int], nn.Module]:
    """Return the function from a seed to a preset's network."""
    return lambda seed: build(name, seed=seed)


def of_user(make: Callable[[], nn.Module]) -> Callable[[int], nn.Module]:
    """Return the function from a seed to a user's network, as torch starts it."""

    def seeded(seed: int) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return make()

    return seeded


# Each lies well beyond the limits, or well within: at a limit the noise of two samples decides.
SICK: dict[str, Callable[[int], nn.Module]] = {
    "relu": from_preset("relu-50@depth=30"),
    "tanh": from_preset("tanh-50@depth=30"),
    "tanh, gain 3": from_preset("tanh-50@init=xavier,gain=3.0,depth=30"),
    "sigmoid": from_preset("relu-50@activation=sigmoid,depth=12"),
    "relu, gain 4": from_preset("he-50@gain=4.0,depth=20"),
    "a user's branches times 30": of_user(lambda: Residual(12, 30.0)),
    "a user's tanh": of_user(lambda: FunctionalTanh(30)),
}
HEALTHY: dict[str, Callable[[int], nn.Module]] = {
    "mlp-5": from_preset("mlp-5"),
    "orthogonal tanh": from_preset("orthogonal-tanh-50@depth=15"),
    "pre-norm": from_preset("pre-norm-96@depth=12"),
    "starts at zero": from_preset("residual-50@residual=rezero,depth=8"),
    "a user's convolutions": of_user(lambda: Images(6)),
    "a user's residual network": of_user(lambda: Residual(8, 0.3)),
}
NETWORKS = {**SICK, **HEALTHY}
SEEDS = (0, pytest.param(1, marks=pytest.mark.slow))


@pytest.fixture(autouse=True)
def without_type_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the type checks to other tests: they make hundreds of preflights several times slower."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@cache
def check(name: str, seed: int, scale: float | None = 1.0, num_samples: int = 64, dtype: torch.dtype = torch.float32) -> Answer:
    """Return the verdict and the causes on digits, with cross-entropy times a scale as the loss; None for the default loss."""
    data = digits()
    batch = data.train_inputs[:num_samples].to(dtype), data.train_targets[:num_samples]
    loss = None if scale is None else (lambda output, targets: scale * F.cross_entropy(output, targets))
    return answer(preflight(NETWORKS[name](seed).to(dtype), batch, loss_fn=loss))


def answer(result: Preflight) -> Answer:
    """Return the verdict and the causes."""
    return result.verdict, tuple(finding.cause for finding in result.findings)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_scale_of_the_loss_changes_nothing(name: str, seed: int) -> None:
    """The loss times 1e-6, 1 and 65,536 gives one verdict and the same causes, and the default loss the same again."""
    assert [check(name, seed, scale) for scale in SCALES] == [check(name, seed, None)] * len(SCALES)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_batch_changes_only_what_two_samples_cannot_tell(name: str, seed: int) -> None:
    """Two samples give the verdict of 64, or "unknown" where nothing but what they cannot tell decides."""
    (few_verdict, few), (verdict, causes) = check(name, seed, num_samples=2), check(name, seed)

    assert set(few) - UNKNOWN_AT_TWO == set(causes) - UNKNOWN_AT_TWO
    assert few_verdict in ({verdict, "unknown"} if set(causes) <= UNKNOWN_AT_TWO else {verdict})


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_sees_the_same(name: str, seed: int) -> None:
    """Weights and data in bfloat16 give the same verdict and first cause, and the same causes but one.

    Rounding to 8 bits keeps samples apart that would else become one, so that correlation collapse may stay unseen.
    """
    (verdict, causes), (half_verdict, half) = check(name, seed), check(name, seed, dtype=torch.bfloat16)

    assert (half_verdict, half[:1]) == (verdict, causes[:1])
    assert set(half) - {"correlation_collapse"} == set(causes) - {"correlation_collapse"}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_networks_differ(seed: int) -> None:
    """The control: the sick ones are all refused and the healthy ones are not, so that a constant answer would not pass."""
    verdicts = {name: check(name, seed)[0] for name in NETWORKS}

    assert verdicts == dict.fromkeys(SICK, "will not train") | dict.fromkeys(HEALTHY, "healthy")


def test_a_cross_entropy_on_another_scale_is_known_as_one() -> None:
    """An output a thousand times too large is found with any scale of the loss, and not where the loss is another one."""
    data, model = digits(), build("mlp-5")
    with torch.no_grad():
        model.readout.weight.mul_(1000)
    batch = data.train_inputs[:64], data.train_targets[:64]

    for scale in SCALES:
        _, causes = answer(preflight(model, batch, loss_fn=lambda output, t, scale=scale: scale * F.cross_entropy(output, t)))
        assert "initial_loss" in causes
    assert "initial_loss" not in answer(preflight(model, batch, loss_fn=F.multi_margin_loss))[1]
