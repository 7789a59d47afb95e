"""The rate rises, then stays or falls as a cosine."""

from math import cos, pi

import pytest
import torch

from fathometer.errors import SpecError
from fathometer.records import Asked
from fathometer.training import make_scheduler, rate_multiplier


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


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_torchs_scheduler_follows_the_function(schedule: str) -> None:
    """The rate in the optimizer at each step is the asked one times the multiplier."""
    asked = Asked(steps=9, warmup=3, schedule=schedule, learning_rate=0.5)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=asked.learning_rate)
    scheduler, rates = make_scheduler(optimizer, asked), []
    for _ in range(asked.steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()

    assert rates == pytest.approx([0.5 * rate_multiplier(step, asked) for step in range(asked.steps)])


def test_an_unknown_name_is_an_error_with_the_nearest_right_one() -> None:
    """A slip of the pen is answered with what was probably meant."""
    with pytest.raises(SpecError, match='Did you mean "cosine"'):
        rate_multiplier(0, Asked(schedule="cosin"))
