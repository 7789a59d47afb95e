"""The digits are real, balanced, standardised, and split by seed."""

import pytest
import torch

from fathometer.data import digits, find_dataset
from fathometer.errors import SpecError


def test_the_two_parts_are_all_the_digits() -> None:
    """1,797 samples: 1,437 to train on and 360 held out, about 36 of each class."""
    data = digits()

    assert data.train_inputs.shape == (1437, 64)
    assert data.test_inputs.shape == (360, 64)
    assert data.train_inputs.dtype == torch.float32
    counts = torch.bincount(data.test_targets, minlength=10)
    assert counts.min() >= 35
    assert counts.max() <= 37


def test_no_sample_is_in_both_parts() -> None:
    """What is held out is not trained on."""
    data = digits()
    train = {tuple(row) for row in data.train_inputs.tolist()}

    assert not any(tuple(row) in train for row in data.test_inputs.tolist())


def test_the_training_part_is_standardised_as_a_whole() -> None:
    """Training pixels have mean 0 and std 1 together; the held-out part is moved by the same two numbers."""
    data = digits()

    # float32 rounding of 91,968 numbers
    assert data.train_inputs.mean().item() == pytest.approx(0, abs=1e-5)
    assert data.train_inputs.std().item() == pytest.approx(1, abs=1e-4)
    assert 1e-4 < abs(data.test_inputs.mean().item()) < 0.05
    assert (data.train_inputs[:, 0] == data.test_inputs[0, 0]).all(), "the first pixel is always empty"


def test_the_seed_decides_the_split() -> None:
    """One seed holds out one fifth, another seed another."""
    assert torch.equal(digits(1).test_inputs, digits(1).test_inputs)
    assert not torch.equal(digits(1).test_inputs, digits(2).test_inputs)


def test_a_data_set_is_found_by_name() -> None:
    """The catalogue knows the digits, and what was probably meant."""
    assert torch.equal(find_dataset("digits").test_inputs, digits().test_inputs)
    with pytest.raises(SpecError, match='Did you mean "digits"'):
        find_dataset("digit")
