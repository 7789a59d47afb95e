"""Batches are seeded, complete, and resume in the middle of an epoch."""

import json
from itertools import chain, islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fathometer.data import Batches, Converted, in_order
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


def test_a_state_with_a_hole_or_a_wrong_place_is_an_error() -> None:
    """A state that was cut, or that points past the epoch, is named before anything is read."""
    state = make().state_dict()

    with pytest.raises(BatchError, match="lacks `epoch`"):
        make().load_state_dict({name: value for name, value in state.items() if name != "epoch"})
    for name, value in (("position", 3), ("position", -1), ("epoch", "1"), ("seed", -4)):
        with pytest.raises(BatchError, match=f"`{name}` {value!r}"):
            make().load_state_dict({**state, name: value})


def test_a_state_of_other_content_is_an_error() -> None:
    """Data of the same size are refused where their hash is another."""
    one, other = (Batches(torch.zeros(4), torch.zeros(4), 2, identity=name) for name in ("one", "other"))

    with pytest.raises(BatchError, match="`identity` one"):
        other.load_state_dict(one.state_dict())


def test_a_state_is_plain_json() -> None:
    """What is saved beside the weights goes through JSON unchanged."""
    batches = make()
    numbers(batches, 3)

    assert json.loads(json.dumps(batches.state_dict())) == batches.state_dict()


def slow_order(samples: int, batch_size: int, seed: int, count: int, *, world: int = 1) -> list[list[int]]:
    """Return the numbers of the first batches, all processes together, from iterators that are never stopped."""
    ranks = [
        Batches(torch.arange(samples).float(), torch.arange(samples), batch_size, seed, rank=rank, world=world)
        for rank in range(world)
    ]
    parts = [numbers(batches, count) for batches in ranks]
    return [[number for part in at_once for number in part] for at_once in zip(*parts, strict=True)]


@settings(max_examples=60, deadline=None)
@given(
    share=st.integers(1, 4),
    cut=st.integers(0, 12),
    worlds=st.tuples(st.sampled_from([1, 2, 3]), st.sampled_from([1, 2, 3])),
    extra=st.integers(0, 30),
    seed=st.integers(0, 1000),
)
def test_any_cut_and_any_number_of_processes_give_one_order(
    share: int, cut: int, worlds: tuple[int, int], extra: int, seed: int
) -> None:
    """Stopped anywhere with one number of processes and gone on with another, the samples come as if never stopped."""
    batch_size, samples, total = 6 * share, 6 * share + extra, 16
    first = [
        Batches(torch.zeros(samples), torch.arange(samples), batch_size, seed, rank=rank, world=worlds[0])
        for rank in range(worlds[0])
    ]
    before = [numbers(batches, cut) for batches in first]
    states = [json.loads(json.dumps(batches.state_dict())) for batches in first]
    assert all(state == states[0] for state in states), "the state is that of all processes together"
    second = [
        Batches(torch.zeros(samples), torch.arange(samples), batch_size, 0, rank=rank, world=worlds[1])
        for rank in range(worlds[1])
    ]
    for batches in second:
        batches.load_state_dict(states[0])
    after = [numbers(batches, total - cut) for batches in second]

    joined = [[*chain.from_iterable(parts)] for part in (before, after) for parts in zip(*part, strict=True)]
    assert joined == slow_order(samples, batch_size, seed, total)


def test_an_order_that_is_not_resumed_differs() -> None:
    """The property above can fail: a fresh start, or another seed, does not give the samples that would have come."""
    expected = slow_order(64, 8, 3, 12)[5:]

    assert slow_order(64, 8, 3, 7) != expected
    assert slow_order(64, 8, 4, 12)[5:] != expected


def test_processes_share_a_batch_without_overlap() -> None:
    """Three processes get different thirds, which are the batch of one process in the order of ranks."""
    assert slow_order(30, 6, 1, 9, world=3) == slow_order(30, 6, 1, 9)


@pytest.mark.parametrize(
    ("batch_size", "rank", "world", "given"),
    [(5, 0, 2, "5 samples, for 2 processes"), (4, 2, 2, "`rank` is 2"), (4, -1, 2, "`rank` is -1"), (4, 0, 0, "`world` is 0")],
)
def test_a_batch_that_cannot_be_shared_is_an_error(batch_size: int, rank: int, world: int, given: str) -> None:
    """Unequal shares would change the mean gradient; a rank outside the world is nobody."""
    with pytest.raises(BatchError, match=given):
        Batches(torch.zeros(10), torch.zeros(10), batch_size, rank=rank, world=world)


def test_a_negative_seed_is_an_error() -> None:
    """A seed counts from 0."""
    with pytest.raises(BatchError, match="`seed` is -1"):
        make(seed=-1)


def test_a_converted_column_equals_the_tensor_converted_whole(seed: int) -> None:
    """What is turned late, batch by batch, is what would have been turned at once."""
    stored = torch.randint(256, (20, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    late = Batches(Converted(stored, torch.Tensor.float), torch.arange(20), 6, seed)
    early = Batches(stored.float(), torch.arange(20), 6, seed)

    for (inputs, _), (expected, _) in zip(islice(late, 8), islice(early, 8), strict=True):
        assert torch.equal(inputs, expected)
        assert inputs.dtype == torch.float32


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
