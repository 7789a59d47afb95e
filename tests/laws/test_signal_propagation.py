"""How a signal's second moment moves through depth, in networks as they are built."""

import pytest
import torch
from torch import Tensor, nn

from fathometer.instruments import listen
from fathometer.networks import build
from fathometer.spec import Mlp


@torch.no_grad()
def second_moments(model: nn.Module, names: list[str], inputs: Tensor) -> Tensor:
    """Return the mean square of what each named module gives, in float64."""
    with listen(model, names) as calls:
        model(inputs)
    return torch.stack([call.output.double().square().mean() for call in calls])


def gains_per_layer(init: str, *, activation: str = "relu", seeds: int = 3) -> float:
    """Return the geometric mean, over 30 layers of width 1000 and a few seeds, of the growth per layer."""
    inputs = torch.randn(16, 1000, generator=torch.Generator().manual_seed(0))
    spec = Mlp(depth=30, width=1000, inputs=1000, activation=activation, init=init)
    logs = []
    for seed in range(seeds):
        moments = second_moments(build(spec, seed=seed), [f"blocks.{index}" for index in range(30)], inputs)
        logs.append((moments[-1] / moments[0]).log() / 29)
    return torch.stack(logs).mean().exp().item()


@pytest.mark.parametrize(("init", "expected"), [("he", 1.0), ("xavier", 0.5)])
def test_he_keeps_the_second_moment_behind_relu_and_xavier_halves_it(init: str, expected: float) -> None:
    """He's std keeps E[h²] through 30 ReLU layers; Xavier's halves it in each. He et al. 2015; facts of case 12."""
    # log of the last over the first has a spread of about √(5 · 30/1000) = 0.4 for one seed, 0.014 a layer, 0.008 for three.
    assert gains_per_layer(init) == pytest.approx(expected, abs=0.05)


def test_it_is_the_relu_that_halves() -> None:
    """The control: the same Xavier matrices without an activation keep the second moment."""
    assert gains_per_layer("xavier", activation="linear") == pytest.approx(1.0, abs=0.05)


def residual_gain(residual: str, seeds: int) -> float:
    """Return E|x|² after 64 residual blocks of width 256 over E|x|² before them, mean over inputs and seeds."""
    inputs = torch.randn(32, 256, generator=torch.Generator().manual_seed(0))
    spec = Mlp(depth=64, width=256, inputs=256, residual=residual)
    gains = []
    for seed in range(seeds):
        start, end = second_moments(build(spec, seed=seed), ["stem", "blocks.63"], inputs)
        gains.append(end / start)
    return torch.stack(gains).mean().item()


def test_branches_over_root_depth_keep_the_stream_bounded() -> None:
    """x ← x + W relu(x)/√L grows E|x|² by (1 + 1/L)^L, which is 2.697 at L = 64 and never passes e."""
    # One seed spreads by about 10% at this width, ten of them by 3%.
    assert residual_gain("scaled", seeds=10) == pytest.approx((1 + 1 / 64) ** 64, rel=0.1)


def test_whole_branches_double_the_stream_in_every_block() -> None:
    """The control: with α = 1 the same network grows as 2^L."""
    log_gain = torch.tensor(residual_gain("plain", seeds=10)).log2().item()

    # A mean over ten seeds of a heavy-tailed number: a factor of 8 either way is 3 of 64 doublings.
    assert log_gain == pytest.approx(64, abs=3)
