"""The first steps of training without weights are those with weights, in distribution."""

import numpy as np
import pytest
from tests.laws.test_implicit import ALPHA, p_value

from fathometer.diagnosis.full_size.first_steps import FirstSteps, first_steps
from fathometer.diagnosis.own_batch import own_data
from fathometer.implicit import Rule
from fathometer.spec import Transformer

SMALL = Transformer(depth=2, width=16, heads=2, vocabulary=24, context=4)
RULES = {"SGD": Rule("sgd", 0.5, momentum=0.9), "Adam": Rule("adam", 1e-2)}


def numbers(found: FirstSteps) -> list[float]:
    """Return the losses, the logs of the stream's sizes, and of signal and gradient by block at the end."""
    last = found.profiles[-1]
    logs = [np.log(value) for name in ("signal", "gradient") for _, value in last.known(name) if value > 0]
    return [*found.losses, *np.log(found.sizes), *logs[:-1]]


def over_seeds(spec: Transformer, rule: Rule, method: str, seeds: range, steps: int) -> np.ndarray:
    """Return a row for each seed; all see the same batches."""
    batches = [(inputs[:4, :4], targets[:4, :4]) for inputs, targets in own_data(spec, seed=5)]
    runs = [
        first_steps(spec, rule, steps=steps, method=method, seed=seed, smallest=1, batches=batches)  # pyrefly: ignore[bad-argument-type]
        for seed in seeds
    ]
    return np.array([numbers(run) for run in runs])


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_steps_without_weights_equal_steps_with_them(name: str) -> None:
    """Losses, streams and profiles of four steps are those of real weights over 40 seeds (max-|z| permutation test at 1%)."""
    real, drawn = (over_seeds(SMALL, RULES[name], how, range(40), 4) for how in ("streamed", "sampled"))

    assert p_value(real, drawn) > ALPHA


@pytest.mark.slow
def test_another_rate_is_seen() -> None:
    """Negative control: a rate larger by half is told apart by the same test."""
    real = over_seeds(SMALL, Rule("sgd", 0.5, momentum=0.9), "streamed", range(40), 4)
    other = over_seeds(SMALL, Rule("sgd", 0.75, momentum=0.9), "sampled", range(40), 4)

    assert p_value(real, other) == 0
