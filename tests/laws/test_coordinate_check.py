"""Under CompleteP the stream of a transformer neither grows nor fades with depth or width, once it learns."""

import argparse
import inspect
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from fathometer.errors import SpecError
from fathometer.runs import CoordinateCheck, coordinate_check
from fathometer.spec import Mlp, Transformer

TIME, BATCH = 32, 4
QUICK, WHOLE = (2, 4, 8, 16, 32), (2, 4, 8, 16, 32, 64)
WIDTHS = (64, 128, 256)
SPEC = Transformer(depth=2, width=128, heads=8, vocabulary=256, context=TIME, tied=False, base_width=128, base_depth=2)
# The standard parametrization: μP of a network that is its own base, at every depth and width.
STANDARD = {"init": "mup", "base_width": None, "base_depth": None}


def text(steps: int = 11, seed: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return batches of bytes from the source of a module of Python's own, each byte with the next one as its target."""
    source = np.frombuffer(inspect.getsource(argparse).encode(), dtype=np.uint8).astype(np.int64)
    starts = np.random.default_rng(seed).integers(0, len(source) - TIME - 1, (steps, BATCH))
    rows = torch.from_numpy(np.stack([[source[start : start + TIME + 1] for start in line] for line in starts]))
    return [(batch[:, :-1], batch[:, 1:]) for batch in rows]


@cache
def along_depth(init: str, depths: tuple[int, ...] = QUICK, width: int = 128) -> CoordinateCheck:
    """Return the check over depth, at a base width of 128, with two seeds."""
    changes = STANDARD if init == "standard" else {"init": init}
    spec = replace(SPEC, **changes, width=width, heads=width // 16)
    return coordinate_check(spec, text(), depths=depths, seeds=(0, 1))


@cache
def along_width(init: str) -> CoordinateCheck:
    """Return the check over width, four blocks deep, with a base of width 128 and depth 2, and eight seeds."""
    changes = STANDARD if init == "standard" else {"init": init}
    return coordinate_check(replace(SPEC, depth=4, **changes), text(), widths=WIDTHS, seeds=range(8))


# A slope over depth varies by 0.03 from seed to seed (standard deviation), so one over two by 0.02; over width by 0.06 to 0.1,
# so one over eight by 0.02 to 0.04, and its mean was -0.06 to 0.02 on four texts. 0.1 is the law's own measure of flat, far
# from the 0.9 and more of the standard parametrization. Over 2 to 32 blocks the first doublings weigh more: of four pairs of
# seeds and four texts CompleteP has -0.07 to -0.14 after ten steps. The text differs from Python to Python.
FLAT = 0.1
FLAT_WHILE_SHALLOW = 0.2


def check_depth(depths: tuple[int, ...], width: int, flat: float = FLAT) -> None:
    """Hold the three parametrizations against figure 7 of Dey et al. 2025."""
    standard, half, whole = (along_depth(init, depths, width) for init in ("standard", "depth-mup", "completep"))

    assert whole.slope(0) == pytest.approx(-0.3, abs=0.1)
    assert abs(whole.slope(10)) <= flat
    assert max(abs(half.slope(step)) for step in range(11)) <= FLAT
    assert standard.slope(0) == pytest.approx(0.5, abs=0.1)
    assert standard.slope(10) > 0.8


def test_depth_moves_the_stream_under_the_standard_parametrization_only() -> None:
    """2 to 32 blocks: standard grows and then explodes, depth-μP is always flat, CompleteP falls at first and is flat at ten."""
    check_depth(QUICK, width=128, flat=FLAT_WHILE_SHALLOW)


@pytest.mark.slow
@pytest.mark.parametrize("width", [64, 256])
def test_the_same_up_to_64_blocks_at_every_width(width: int) -> None:
    """2 to 64 blocks, at both ends of the widths, scaled from one base."""
    check_depth(WHOLE, width)


def test_a_smaller_start_alone_does_not_keep_the_stream() -> None:
    """GPT-2's 1/√(2·depth) is flat at initialisation, and gone after ten steps: it says nothing of the learning rate."""
    check = coordinate_check(replace(SPEC, init="gpt2"), text(), depths=(2, 8, 32))

    assert abs(check.slope(0)) <= FLAT
    assert check.slope(10) > 0.8


@pytest.mark.parametrize("init", ["mup", "depth-mup", "completep"])
def test_width_does_not_move_the_stream_under_mup_and_its_kin(init: str) -> None:
    """Widths 64 to 256: flat at initialisation and after ten steps, where the standard parametrization is far from it."""
    check, standard = along_width(init), along_width("standard")

    assert abs(check.slope(0)) <= FLAT
    assert abs(check.slope(10)) <= FLAT
    assert min(standard.slope(0), standard.slope(10)) > 0.8


def test_a_perceptron_can_be_checked_too() -> None:
    """Any family with blocks: a deeper stream without a norm is larger by √depth where nothing scales its branches."""
    batches = [(torch.randn(64, 64, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 10)]
    spec = Mlp(residual="plain", branch_scale=0.1, init="lecun")
    check = coordinate_check(spec, batches, depths=(1, 2, 4), steps=1)

    assert (check.axis, check.sizes) == ("depth", (1, 2, 4))
    assert [len(row) for row in check.means] == [2, 2, 2]
    assert 0 < check.slope(0) < 0.1


def test_what_cannot_be_checked_is_an_error() -> None:
    """No axis, two axes, one size, and a rate at which the loss is not finite."""
    for asked in ({}, {"depths": (2, 4), "widths": (64, 128)}, {"depths": (2,)}):
        with pytest.raises(SpecError, match="at least two sizes"):
            coordinate_check(SPEC, text(), **asked)
    with pytest.raises(SpecError, match="learning rate below"):
        coordinate_check(replace(SPEC, width=16, heads=1), text(), depths=(2, 4), learning_rate=1e30)
