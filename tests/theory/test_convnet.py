"""The forecast of a convnet: its kinds, what stages do to it, and where it stops."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest

from fathometer.spec import ConvNet
from fathometer.theory import forecast

SMALL = ConvNet(depth=20, width=32)


@pytest.mark.parametrize("norm", [None, "batch", "layer"])
@pytest.mark.parametrize("residual", ["none", "post-activation"])
@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_every_kind_has_a_forecast(norm: str | None, residual: str, activation: str) -> None:
    """Each kind gives finite numbers for every block; only where shapes change it does not say what a branch adds."""
    profile = forecast(replace(SMALL, norm=norm, residual=residual, activation=activation, branch_scale=0.5))

    assert profile.points == tuple(f"blocks.{index}" for index in range(9))
    for name in ("signal", "correlation", "gradient"):
        assert np.all(np.isfinite(profile.values[name]))
    if residual == "none":
        assert "branch_ratio" not in profile.values
    else:
        assert [index for index, value in enumerate(profile.values["branch_ratio"]) if value is None] == [3, 6]


@pytest.mark.parametrize("spec", [ConvNet(layout="imagenet", depth=50), ConvNet(layout="imagenet", depth=18, residual="none")])
def test_imagenet_networks_have_a_forecast(spec: ConvNet) -> None:
    """Both layouts work, and the max-pool is named as what theory knows only for images of noise."""
    profile = forecast(spec)

    assert len(profile) == spec.num_blocks
    assert "max-pool" in str(profile.facts["stops"])


def test_a_plain_network_with_batch_norm_explodes_backwards() -> None:
    """Away from borders the gradient's second moment grows by π/(π − 1) at each ReLU layer (Yang et al. 2019)."""
    spec = ConvNet(depth=26, residual="none", image_size=512)
    gradient = forecast(spec).values["gradient"]

    assert gradient[0] / gradient[3] == pytest.approx((pi / (pi - 1)) ** 6, rel=0.01)  # borders of 512 places count little


def test_a_plain_network_without_norm_loses_signal_at_borders() -> None:
    """He keeps the signal inside; at the borders of small images a 3×3 convolution finds zeros, and large ones have few."""
    small, large = (forecast(ConvNet(depth=8, norm=None, residual="none", image_size=side)) for side in (8, 512))

    assert large.values["signal"][0] == pytest.approx(
        2 * 9 * 3 / (2 * 9 * 16) * 2 * 0.5, rel=0.03
    )  # He by fan_out in the stem; 0.4% at each convolution
    assert small.values["signal"][0] < 0.75 * large.values["signal"][0]


def test_a_strided_shortcut_quarters_the_gradient() -> None:
    """With branches of zero the gradient of a stage is what every second place of the next one sends back."""
    gradient = forecast(replace(SMALL, zero_init_last=True)).values["gradient"]

    assert gradient[7] == pytest.approx(0.125, rel=0.05)  # half of the last stage's channels are zeros, and φ′(0) = 0 there
    assert gradient[5] / gradient[6] == pytest.approx(0.5, rel=0.05)  # twice the share of live channels, a quarter of the places


def test_the_same_forecast_twice() -> None:
    """The sample of channels has a fixed seed."""
    assert forecast(SMALL) == forecast(SMALL)


def test_a_forecast_says_where_theory_stops() -> None:
    """BatchNorm, and borders with an activation that bends, are named; a ReLU network without norm is not."""
    bare = replace(SMALL, norm=None, residual="none")

    assert "BatchNorm" in str(forecast(SMALL).facts["stops"])
    assert "borders" in str(forecast(replace(bare, activation="tanh")).facts["stops"])
    assert forecast(bare).facts["stops"] is None
