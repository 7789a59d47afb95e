"""Convolutions in theory: what borders and strides take, against torch; and channels as draws."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fathometer.spec import ConvNet
from fathometer.theory.channels import NUM_CHANNELS, Draws, signal_of, widened
from fathometer.theory.convolution import Path, blocks_of, convolution, left_by_places, through, way_back
from fathometer.theory.steps import IDENTITY, Signal

BARE = ConvNet(norm=None, activation="relu", residual="none")


@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_borders_take_what_torch_takes(size: int, stride: int) -> None:
    """The share of taps that find a signal, forward and back, is that of a torch convolution of ones."""
    side = 9
    conv = convolution(BARE, "hidden", (4, 8, size, stride), side)
    ones, kernel = torch.ones(1, 1, side, side), torch.full((1, 1, size, size), 1 / size**2)
    out = F.conv2d(ones, kernel, stride=stride, padding=size // 2)
    extra = side - ((out.shape[2] - 1) * stride + size - 2 * (size // 2))
    back = F.conv_transpose2d(torch.ones_like(out), kernel, stride=stride, padding=size // 2, output_padding=extra)
    path = through([conv], Path(Signal(1.0, 0.0), np.ones(side), IDENTITY), BARE, None)

    assert path.signal.moment == pytest.approx(conv.matrix.forward_variance * float(out.mean()))
    assert len(path.along) == out.shape[2]
    assert way_back([conv], np.ones(len(path.along)))[0] == pytest.approx(float(back.mean()))


def test_what_batch_norm_can_take_out_is_less_near_borders() -> None:
    """Without borders all of a shared signal is one constant; of 4 places across, three quarters."""
    places = 4
    conv = convolution(BARE, "hidden", (1, 1, 3, 1), places)
    found = F.conv2d(torch.ones(1, 1, places, places), torch.eye(9).reshape(9, 1, 3, 3), padding=1).flatten(2)[0]
    expected = float((found.mean(1) ** 2).sum() / (found**2).mean(1).sum())

    assert conv.common == pytest.approx(expected)
    assert convolution(BARE, "hidden", (1, 1, 1, 1), places).common == 1


def test_the_blocks_have_the_shapes_of_the_builder() -> None:
    """Widths, strides and projections come in the order of a ResNet-50."""
    blocks = list(blocks_of(ConvNet(layout="imagenet", depth=50), 56))

    assert len(blocks) == 16
    assert [block.width for block in blocks] == [256.0] * 3 + [512.0] * 4 + [1024.0] * 6 + [2048.0] * 3
    assert [index for index, block in enumerate(blocks) if block.projection] == [0, 3, 7, 13]
    assert [index for index, block in enumerate(blocks) if block.stride == 2] == [3, 7, 13]
    assert blocks[-1].branch[0].matrix.forward_variance == pytest.approx(2048 * 2 / 512)  # He by fan_out


def test_averaging_over_an_image_leaves_what_is_common() -> None:
    """Nothing of a scatter is common: 1/places is left; all is: all of it."""
    assert left_by_places(0.0, 4) == pytest.approx(1 / 16)
    assert left_by_places(1.0, 4) == 1


def test_draws_have_the_moments_that_were_asked_for() -> None:
    """Second moment and cosine are exact, and nothing is shared with what was drawn before."""
    draws = Draws()
    first = draws.start(Signal(2.0, 0.3))
    second = draws.pair(Signal(0.5, -0.4), first)

    for drawn, (moment, cosine) in ((first, (2.0, 0.3)), (second, (0.5, -0.4))):
        assert (drawn[0] ** 2).mean() == pytest.approx(moment)
        assert signal_of(drawn).correlation == pytest.approx(cosine, abs=1e-6)
    assert abs((first @ second.T).mean()) < 1e-6 * NUM_CHANNELS
    assert signal_of(draws.pair(Signal(1.0, 0.9), second)).correlation != pytest.approx(-0.4, abs=0.1)


def test_pooled_places_are_the_largest_of_nine() -> None:
    """The mean of the largest of nine Gaussian numbers is 1.485 (order statistics)."""
    pooled = Draws().pooled(Signal(1.0, 0.0))

    assert pooled.mean() == pytest.approx(1.48501, abs=0.03)  # 5 standard errors of 8,192 draws


def test_new_channels_are_zeros() -> None:
    """Twice as many channels hold half the second moment."""
    stream = Draws().start(Signal(1.0, 0.0))

    assert signal_of(widened(stream, 2)).moment == pytest.approx(0.5)
    assert widened(stream, 1).shape == stream.shape
