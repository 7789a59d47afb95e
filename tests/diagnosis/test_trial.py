"""Short real runs: what is held out, what "trains" means, and that chance is not training."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.diagnosis.trial import RATES, Trial, blind_loss, run_trial, trial_data
from fathometer.errors import BatchError
from fathometer.records import Asked, Record

Pair = tuple[Tensor, Tensor]
Plain = Callable[..., nn.Sequential]


def trial(losses: list[float | None], blind: float = 1.0) -> Trial:
    """Return a trial whose seeds ended at these held-out losses; None for a run that was stopped."""
    records = [Record(Asked(), "finished", (), loss) for loss in losses]
    return Trial(1e-3, blind, tuple(records), ())


@pytest.mark.parametrize(
    ("losses", "blind", "trains"),
    [
        ([0.5, 0.6, 0.94], 1.0, True),
        ([0.5, 0.6, 0.96], 1.0, False),
        ([0.5, 0.6, None], 1.0, False),
        ([0.5, 0.6, float("nan")], 1.0, False),
        ([-3.0, -3.0, -3.0], -2.0, True),
        ([-2.0, -2.0, -2.0], -2.0, False),
    ],
    ids=["all below", "one at chance", "one stopped", "one not a number", "below a negative one", "at a negative one"],
)
def test_it_trains_if_every_seed_is_clearly_below_the_blind(losses: list, blind: float, trains: bool) -> None:
    """Every seed must end 5% under the best input-blind predictor."""
    assert trial(losses, blind).trains is trains


def test_a_trial_round_trips(plain: Plain, data: list[Pair]) -> None:
    """A trial reads back from its dictionary."""
    made = run_trial(lambda seed: plain(1, seed=seed), trial_data(data[0], data, None), Asked(steps=2))

    assert Trial.from_dict(made.to_dict()) == made


def test_every_rate_then_every_seed_at_the_best(plain: Plain, data: list[Pair]) -> None:
    """The sweep has one run for each rate; the seeds run at the best of them, each on a network of its own."""
    made = run_trial(lambda seed: plain(1, seed=seed), trial_data(data[0], data, None), Asked(steps=20))

    assert [rate for rate, _ in made.sweep] == list(RATES)
    assert made.learning_rate == min(made.sweep, key=lambda point: point[1])[0]
    assert [record.asked.seed for record in made.records] == [0, 1, 2]
    assert len(set(made.losses)) == 3


def test_learning_is_told_from_chance(plain: Plain, data: list[Pair]) -> None:
    """A small network trains on a teacher's classes; the control: not on classes that are drawn at random."""
    torch.manual_seed(0)
    noise = [(inputs, torch.randint(0, 4, (len(inputs),))) for inputs, _ in data]

    def run(batches: list[Pair]) -> Trial:
        return run_trial(lambda seed: plain(1, seed=seed), trial_data(batches[0], batches, None), Asked(steps=80))

    assert run(data).trains
    assert not run(noise).trains


def test_of_one_batch_a_fifth_is_held_out_at_random(batch: Pair) -> None:
    """No sample is in both parts, all are in one, and a batch that is sorted by class is mixed."""
    inputs, targets = torch.arange(50.0)[:, None], torch.arange(50) // 25

    split = trial_data((inputs, targets), None, None)
    (kept, _), (held_out, classes) = split.train[0], split.held_out[0]

    assert sorted(torch.cat([kept, held_out]).flatten().tolist()) == list(range(50))
    assert len(held_out) == 10
    assert len(classes.unique()) == 2


def test_of_many_batches_a_fifth_is_held_out(data: list[Pair]) -> None:
    """Whole batches are held out where there are at least five, samples of each where there are fewer."""
    many, few = trial_data(data[0], data, None), trial_data(data[0], iter(data[:3]), None)

    assert (len(many.train), len(many.held_out)) == (8, 2)
    assert [len(targets) for _, targets in few.held_out] == [6, 6, 6]


def test_seeds_differ_also_on_one_batch(plain: Plain, batch: Pair) -> None:
    """Each step on a single batch sees half of it, so that the same network does not run three times the same way."""
    made = run_trial(lambda _: plain(1), trial_data(batch, None, None), Asked(steps=5))

    assert len({record.losses for record in made.records}) == 3


def test_the_generator_is_left_alone(plain: Plain, data: list[Pair]) -> None:
    """Training moves no generator of the caller's."""
    before = torch.get_rng_state()

    run_trial(lambda seed: plain(1, seed=seed), trial_data(data[0], data, None), Asked(steps=2))

    assert torch.equal(torch.get_rng_state(), before)


def test_the_blind_loss_of_the_defaults(plain: Plain, data: list[Pair]) -> None:
    """Class shares for cross-entropy and the mean for squared error, as the search over constants finds them too."""
    targets = torch.cat([targets for _, targets in data[8:]])
    shares = targets.bincount() / len(targets)
    values = [(inputs, inputs[:, :4]) for inputs, _ in data]

    default = blind_loss(plain(1), trial_data(data[0], data, None))
    searched = blind_loss(plain(1), trial_data(data[0], data, F.cross_entropy))

    assert default == pytest.approx(float(-(shares * shares.log()).sum()), rel=1e-6)  # the same sum in float32
    assert searched == pytest.approx(default, rel=1e-3)  # L-BFGS stops where the gradient is below 1e-7
    squared = blind_loss(plain(1), trial_data(values[0], values, None))
    mean = torch.cat([value for _, value in values[8:]]).mean(dim=0)
    assert squared == pytest.approx(float(torch.cat([(value - mean) for _, value in values[8:]]).square().mean()), rel=1e-5)


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        ([], "hold no batches"),
        ([(torch.zeros(3, 16), torch.zeros(3, dtype=torch.int64))], "The batch has 3 samples"),
        ([torch.zeros(32, 16)], "inputs alone"),
        ([(torch.zeros(32, 16), torch.zeros(32, dtype=torch.int64))], "All held-out targets are the same"),
        ([(torch.zeros(32, 16), {"a": torch.zeros(32)})], "The targets are a dict"),
    ],
    ids=["none", "too few samples", "no targets", "one class", "a dictionary"],
)
def test_data_that_prove_nothing(batches: list, words: str, plain: Plain) -> None:
    """What cannot be trained on, or what nothing can be learnt from, is said."""
    with pytest.raises(BatchError, match=words):
        blind_loss(plain(1), trial_data(None, batches, None))
