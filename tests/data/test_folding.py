"""Parity and sawtooth are what their names say."""

from typing import Any

import numpy as np
import pytest
import torch

from fathometer.data import parity, sawtooth, tent
from fathometer.errors import DataError


def test_parity_is_whether_the_number_of_ones_is_odd() -> None:
    """The product of the signs tells the class, in both parts, and both classes come equally often."""
    data = parity(10)
    for inputs, targets in ((data.train_inputs[:], data.train_targets[:]), (data.test_inputs[:], data.test_targets[:])):
        signs = inputs.prod(dim=1)
        assert torch.equal((signs * (-1) ** 10 < 0).long(), targets)
    assert set(data.train_inputs[:].unique().tolist()) == {-1, 1}
    # 819 draws of 1,024: the std of the share is below 0.01
    assert data.train_targets[:].float().mean().item() == pytest.approx(0.5, abs=0.04)


def test_only_the_relevant_bits_count() -> None:
    """With three relevant bits of ten the class is the parity of the first three; that of all ten is another."""
    data = parity(10, relevant=3)
    ones = (data.train_inputs[:] > 0).long()

    assert torch.equal(ones[:, :3].sum(dim=1) % 2, data.train_targets[:])
    assert not torch.equal(ones.sum(dim=1) % 2, data.train_targets[:])


def test_no_row_of_bits_comes_twice() -> None:
    """What is held out was not trained on; a few bits are all used."""
    data = parity(6)
    rows = {tuple(row) for row in torch.cat([data.train_inputs[:], data.test_inputs[:]]).tolist()}

    assert len(rows) == 64
    assert (data.facts["samples"], data.facts["held_out_samples"]) == (51, 13)


def test_no_single_bit_tells_the_parity() -> None:
    """Over all rows each bit is uncorrelated with the class: there is nothing for a linear reader."""
    data = parity(8, samples=255)
    inputs = torch.cat([data.train_inputs[:], data.test_inputs[:]])
    targets = torch.cat([data.train_targets[:], data.test_targets[:]]).float()

    assert ((inputs * (targets - 0.5)[:, None]).sum(dim=0) == 0).all()


@pytest.mark.parametrize("folds", [1, 3, 10])
def test_the_tent_folded_k_times_has_2_to_the_k_pieces(folds: int) -> None:
    """It is 0 and 1 in turn at the multiples of 2^-k, exactly, and straight between them."""
    pieces = 2**folds
    corners = tent(np.arange(pieces + 1) / pieces, folds)
    middles = tent((np.arange(pieces) + 0.5) / pieces, folds)

    assert (corners == np.arange(pieces + 1) % 2).all()
    assert (middles == 0.5).all()


def test_the_sawtooth_has_the_upper_half_as_its_class() -> None:
    """The class changes as often as the teeth ask: four folds, sixteen pieces, each crossed once."""
    data = sawtooth(4)
    order = data.train_inputs[:][:, 0].argsort()
    classes = data.train_targets[:][order]

    assert int((classes[1:] != classes[:-1]).sum()) == data.facts["pieces"] == 16
    x = data.train_inputs[:][:, 0].double().numpy() / 12**0.5 + 0.5
    heights = tent(x, 4)
    clear = abs(heights - 0.5) > 1e-4  # float32 rounding, 16 times steeper
    assert ((heights >= 0.5) == data.train_targets[:].numpy())[clear].all()


def test_the_value_of_the_sawtooth_can_be_learned_instead() -> None:
    """Asked for values, the targets are the heights with mean 0 and std 1, one column of floats."""
    classes, values = sawtooth(3), sawtooth(3, targets="value")
    targets = values.train_targets[:]

    assert targets.shape == (4096, 1)
    assert torch.equal((targets[:, 0] >= 0).long(), classes.train_targets[:])
    # 4,096 draws: the std of the mean is 0.016
    assert targets.mean().item() == pytest.approx(0, abs=0.06)
    assert targets.std().item() == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize(
    ("make", "options", "given"),
    [
        (parity, {"bits": 0}, "`bits` is 0"),
        (parity, {"bits": 63}, "`bits` is 63"),
        (parity, {"bits": 4, "relevant": 5}, "`relevant` is 5"),
        (parity, {"bits": 4, "samples": 16}, "There are 16 different inputs"),
        (sawtooth, {"folds": 0}, "`folds` is 0"),
        (sawtooth, {"folds": 41}, "`folds` is 41"),
        (sawtooth, {"samples": 0}, "`samples` is 0"),
        (sawtooth, {"targets": "heights"}, 'no kind of targets named "heights"'),
    ],
)
def test_sizes_that_cannot_be_are_an_error(make: Any, options: dict[str, Any], given: str) -> None:
    """What cannot be drawn is named with what can."""
    with pytest.raises(DataError, match=given):
        make(**options)
