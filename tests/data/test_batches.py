"""Batches are seeded, complete, and resume in the middle of an epoch."""

from itertools import islice

import pytest
import torch

from fathometer.data import Batches, in_order
from fathometer.errors import BatchError


def make(samples: int = 10, batch_size: int = 4, seed: int = 0) -> Batches:
    """Return batches whose inputs and targets are the number of the sample."""
    return Batches(torch.arange(samples).float(), torch.arange(samples), batch_size, seed)


def numbers(batches: Batches, count: int) -> list[list[int]]:
    """Return the numbers of the samples in the next batches."""
    return [targets.tolist() for _, targets in islice(batches, count)]


def test_an_epoch_sees_no_sample_twice_and_drops_the_short_rest(seed: int) -> None:
    """Ten samples by four are two batches of different samples; then the data are shuffled anew."""
    first, second, third, fourth = numbers(make(seed=seed), 4)

    assert len({*first, *second}) == 8
    assert len({*third, *fourth}) == 8
    assert [first, second] != [third, fourth]


def test_inputs_stay_with_their_targets(seed: int) -> None:
    """Shuffling moves pairs."""
    for inputs, targets in islice(make(seed=seed), 5):
        assert torch.equal(inputs, targets.float())


def test_the_seed_decides() -> None:
    """One seed gives one order, another seed another; a later epoch of one is not an earlier one of the next."""
    assert numbers(make(64, seed=0), 40) == numbers(make(64, seed=0), 40)
    epochs = {tuple(map(tuple, numbers(make(64, seed=seed), 64)[at : at + 16])) for seed in range(3) for at in (0, 16, 32, 48)}
    assert len(epochs) == 12


@pytest.mark.parametrize("taken", [0, 1, 2, 3, 7])
def test_they_resume_exactly_where_they_stopped(taken: int, seed: int) -> None:
    """After loading a state, the batches that follow are those that would have followed, also within an epoch."""
    original = make(13, seed=seed)
    numbers(original, taken)
    state = original.state_dict()
    expected = numbers(original, 9)
    resumed = make(13, seed=seed + 1)
    numbers(resumed, 5)
    resumed.load_state_dict(state)

    assert expected == numbers(resumed, 9)
    assert expected != numbers(make(13, seed=seed), 10)[1:] or taken == 1


def test_a_state_of_other_data_is_an_error() -> None:
    """A run goes on with its own data and batch size only."""
    with pytest.raises(BatchError, match="`samples` 10"):
        make(12).load_state_dict(make(10).state_dict())
    with pytest.raises(BatchError, match="`batch_size` 4"):
        make(10, batch_size=5).load_state_dict(make(10, batch_size=4).state_dict())


def test_data_smaller_than_a_batch_come_whole() -> None:
    """Three samples by four are one batch of three, in every epoch."""
    assert [sorted(batch) for batch in numbers(make(3), 4)] == [[0, 1, 2]] * 4


def test_torchs_generator_is_not_moved() -> None:
    """Shuffling draws from a generator of its own."""
    before = torch.get_rng_state()
    numbers(make(), 7)

    assert torch.equal(before, torch.get_rng_state())


def test_in_order_yields_every_sample_once() -> None:
    """For judging, nothing is shuffled and nothing dropped."""
    parts = [targets.tolist() for _, targets in in_order(torch.zeros(10), torch.arange(10), 4)]

    assert parts == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize(
    ("inputs", "targets", "batch_size", "given"),
    [(3, 4, 2, "3 inputs and 4 targets"), (0, 0, 2, "no samples"), (3, 3, 0, "`batch_size` is 0")],
)
def test_data_that_cannot_be_batched_are_an_error(inputs: int, targets: int, batch_size: int, given: str) -> None:
    """What does not fit is named at once, not in the first step."""
    with pytest.raises(BatchError, match=given):
        Batches(torch.zeros(inputs), torch.zeros(targets), batch_size)
