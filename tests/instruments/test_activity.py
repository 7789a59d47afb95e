"""Dead and saturated shares, by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fathometer.instruments import Ear
from fathometer.instruments.activity import FLAT_BEYOND, MIN_SAMPLES, dead_share, layer_hearers, saturated_share


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((32, 4), 1), ((8, 5, 4), 2), ((2, 4, 3, 3), 1), ((2, 4, 2, 2, 2), 1)],
    ids=["mlp", "time", "image", "volume"],
)
def test_a_unit_is_dead_if_no_input_is_positive(shape: tuple[int, ...], axis: int) -> None:
    """The unit is the last axis, or the channel of images and volumes; 0 is not positive; NaN is not dead."""
    inputs = torch.ones(shape)
    inputs.select(axis, 0).fill_(-1)
    inputs.select(axis, 1).fill_(0)
    inputs.select(axis, 2).fill_(float("nan"))

    assert dead_share("relu", inputs) == 0.5
    assert dead_share("relu", -inputs.nan_to_num(1)) == 0.75  # all but the first
    assert dead_share("relu", torch.ones(shape)) == 0.0


def test_one_positive_input_keeps_a_unit_alive() -> None:
    """A unit that answers one sample of many is not dead."""
    inputs = -torch.ones(32, 4)
    inputs[17, 2] = 1e-30

    assert dead_share("relu", inputs) == 0.75


def test_few_samples_say_nothing() -> None:
    """Under 16 observations of a unit, zero for all of them is no sign; time steps and pixels are observations too."""
    assert dead_share("relu", -torch.ones(MIN_SAMPLES - 1, 4)) is None
    assert dead_share("relu", -torch.ones(MIN_SAMPLES, 4)) == 1.0
    assert dead_share("relu", -torch.ones(1, 4, 4, 4)) == 1.0
    assert dead_share("relu", -torch.ones(0, 4)) is None


@pytest.mark.parametrize("name", ["tanh", "gelu", "linear"])
def test_only_relu_dies(name: str) -> None:
    """Other activations let some gradient through everywhere."""
    assert dead_share(name, -torch.ones(32, 4)) is None


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_saturated_is_where_the_slope_is_under_a_hundredth(name: str) -> None:
    """The limits in the table are where torch's own slope falls under 1% of its largest."""
    inputs = torch.linspace(-12, 12, 4001, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(getattr(torch, name)(inputs).sum(), inputs)
    flat = slope < 0.01 * slope.max()

    assert saturated_share(name, inputs.detach()) == pytest.approx(float(flat.double().mean()), abs=1e-3)  # two of 4001 points


def test_others_do_not_saturate() -> None:
    """ReLU and the like have no such share, nor has nothing at all."""
    assert "relu" not in FLAT_BEYOND
    assert saturated_share("relu", torch.ones(3)) is None
    assert saturated_share("tanh", torch.ones(0)) is None


def test_layers_and_norms_over_the_batch_are_heard() -> None:
    """Linear layers and convolutions are heard, and norms that use the batch's own means; those by stored means are not."""
    heard = []
    stored, x = nn.BatchNorm1d(4).eval(), torch.randn(8, 4)
    with Ear(layer_hearers(lambda: heard.append("weights"), lambda: heard.append("norm"))):
        nn.Linear(4, 4)(x)
        nn.BatchNorm1d(4)(x)
        stored(x)
        nn.BatchNorm1d(4, track_running_stats=False).eval()(x)
        F.batch_norm(x, None, None, training=True)
        nn.Conv2d(1, 1, 2)(x[None, None])
        nn.LayerNorm(4)(x)
    assert heard == ["weights", "norm", "norm", "norm", "weights"]
