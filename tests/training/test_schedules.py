"""The rate rises, then stays or falls as a cosine."""

from math import cos, pi

import pytest
import torch

from fathometer.errors import SpecError
from fathometer.records import Asked
from fathometer.training import SCHEDULES, rate_multiplier, set_rates


def test_the_warm_up_rises_in_equal_parts() -> None:
    """Five steps of warm-up are a fifth, two fifths, … and then the whole rate."""
    shares = [rate_multiplier(step, Asked(steps=10, warmup=5)) for step in range(8)]

    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 1.0])


def test_without_warm_up_the_first_step_has_the_whole_rate() -> None:
    """No warm-up is no rise."""
    assert rate_multiplier(0, Asked()) == 1.0


def test_the_cosine_falls_to_nearly_nothing() -> None:
    """After the warm-up the rate follows half a cosine over the steps that are left, and stays at 0 after them."""
    asked = Asked(steps=12, warmup=2, schedule="cosine")
    shares = [rate_multiplier(step, asked) for step in range(2, 14)]

    assert shares == pytest.approx([(1 + cos(pi * step / 10)) / 2 for step in range(10)] + [0.0, 0.0])


def test_wsd_stays_and_falls_at_the_end() -> None:
    """After the warm-up the whole rate, then a straight fall over the last share of all steps."""
    asked = Asked(steps=20, warmup=2, schedule="wsd", decay=0.25)
    shares = [rate_multiplier(step, asked) for step in range(2, 21)]

    assert shares == pytest.approx([1.0] * 14 + [0.8, 0.6, 0.4, 0.2, 0.0])


@pytest.mark.parametrize("schedule", ["cosine", "wsd"])
def test_a_schedule_ends_at_the_final_rate(schedule: str) -> None:
    """The fall is from 1 to the final share, and goes on to no less."""
    asked = Asked(steps=10, schedule=schedule, final_rate=0.1)
    shares = [rate_multiplier(step, asked) for step in range(12)]

    assert shares[0] == 1.0
    assert shares[-2:] == pytest.approx([0.1, 0.1])
    assert min(shares) >= 0.1 - 1e-12  # rounding


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_torchs_scheduler_gives_the_same_rates_bit_for_bit(schedule: str) -> None:
    """The rates of each group are those that torch's own scheduler would set, also when set out of turn."""
    asked = Asked(steps=9, warmup=3, schedule=schedule, learning_rate=0.5)
    made = [torch.optim.SGD([{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in (0.5, 0.3)]) for _ in "ab"]
    twin = torch.optim.lr_scheduler.LambdaLR(made[1], lambda step: rate_multiplier(step, asked))
    for step in range(asked.steps):
        set_rates(made[0], step, asked)
        assert [group["lr"] for group in made[0].param_groups] == [group["lr"] for group in made[1].param_groups]
        made[1].step()
        twin.step()
    set_rates(made[0], 0, asked)
    assert made[0].param_groups[0]["lr"] == 0.5 * rate_multiplier(0, asked)


def test_an_unknown_name_is_an_error_with_the_nearest_right_one() -> None:
    """A slip of the pen is answered with what was probably meant."""
    with pytest.raises(SpecError, match='Did you mean "cosine"'):
        rate_multiplier(0, Asked(schedule="cosin"))
