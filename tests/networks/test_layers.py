"""Activations and norms are the ones that the words floor describes."""

import numpy as np
import pytest
import torch
from torch import nn

from fathometer.activations import ACTIVATIONS, find_activation
from fathometer.errors import SpecError
from fathometer.networks.layers import (
    ACTIVATION_MODULES,
    IMAGE_NORM_MODULES,
    NORM_MODULES,
    make_activation,
    make_image_norm,
    make_norm,
)
from fathometer.spec.convnet import CONV_NORMS
from fathometer.spec.mlp import NORM_KINDS


def test_every_activation_and_norm_of_a_spec_has_a_module() -> None:
    """The catalogues of modules name what a spec may name, no more and no less."""
    assert set(ACTIVATIONS) == set(ACTIVATION_MODULES)
    assert set(NORM_KINDS) == set(NORM_MODULES)
    assert set(CONV_NORMS) == set(IMAGE_NORM_MODULES)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_value_and_slope_agree_with_the_words_floor(name: str) -> None:
    """A module gives the value, and autograd the slope, that `activations` has, away from kinks."""
    points = np.linspace(-6.0, 6.0, 240)  # an even number: 0, where some slopes jump, is not among them
    inputs = torch.from_numpy(points).requires_grad_()
    outputs = make_activation(name)(inputs)
    outputs.sum().backward()

    # Double precision on both sides; the formulas differ by rounding alone.
    np.testing.assert_allclose(outputs.detach(), find_activation(name).function(points), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(inputs.grad, find_activation(name).slope(points), rtol=1e-12, atol=1e-14)


def test_another_activation_would_be_noticed() -> None:
    """The exact GELU is told from its tanh approximation, which differs by less than 1e-3."""
    points = np.linspace(-6.0, 6.0, 240)
    approximate = nn.GELU(approximate="tanh")(torch.from_numpy(points))

    assert not np.allclose(approximate, find_activation("gelu").function(points), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", NORM_KINDS)
def test_a_norm_gives_a_second_moment_of_one(kind: str, seed: int) -> None:
    """Whatever the size of the inputs, each norm sets the second moment to 1 over the axes that it looks at."""
    inputs = 30 * torch.randn(64, 48, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    outputs = make_norm(kind, 48).double()(inputs)
    axis = 0 if kind == "batch" else 1

    # The ε of 1e-5 beside a variance near 900 moves the result by about 1e-8.
    torch.testing.assert_close((outputs**2).mean(axis), torch.ones(outputs.shape[1 - axis]).double(), rtol=0, atol=1e-7)


def test_only_rms_norm_keeps_the_mean() -> None:
    """Layer norm takes the mean of a sample away; RMS norm does not."""
    inputs = torch.randn(4, 48, generator=torch.Generator().manual_seed(0)) + 5

    assert make_norm("layer", 48)(inputs).mean(1).abs().max() < 1e-5
    assert make_norm("rms", 48)(inputs).mean(1).abs().min() > 0.9


@pytest.mark.parametrize(("kind", "axes"), [("batch", (0, 2, 3)), ("layer", (1, 2, 3))])
def test_a_norm_of_images_gives_a_second_moment_of_one(kind: str, axes: tuple[int, ...], seed: int) -> None:
    """BatchNorm looks at each channel over samples and places, layer norm at each sample over channels and places."""
    images = 30 * torch.randn(8, 6, 5, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    moments = (make_image_norm(kind, 6).double()(images) ** 2).mean(axes)

    # The ε of 1e-5 beside a variance near 900 moves the result by about 1e-8.
    torch.testing.assert_close(moments, torch.ones_like(moments), rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_a_norm_can_do_without_a_bias(kind: str) -> None:
    """Without a bias a layer norm has gains alone, as RMS norm always does."""
    assert [name for name, _ in make_norm(kind, 48, bias=False).named_parameters()] == ["weight"]


def test_no_norm_is_the_identity() -> None:
    """None is off."""
    assert isinstance(make_norm(None, 3), nn.Identity)
    assert isinstance(make_image_norm(None, 3), nn.Identity)


@pytest.mark.parametrize(
    ("make", "near"),
    [
        (make_activation, "tanh"),
        (lambda name: make_norm(name, 3), "batch"),
        (lambda name: make_image_norm(name, 3), "layer"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_right_one(make, near: str) -> None:
    """A slip of the pen is answered with what was probably meant."""
    with pytest.raises(SpecError, match=f'Did you mean "{near}"'):
        make(near[:-1] + "j")
