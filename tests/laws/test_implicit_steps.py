"""The first steps of training without weights are those with weights, in distribution."""

import numpy as np
import pytest
from benchmarks.full_size_exact import steps_of
from benchmarks.permutations import p_value
from tests.laws.test_implicit import ALPHA

from fathometer.implicit import Rule
from fathometer.spec import Transformer

SMALL = Transformer(depth=2, width=16, heads=2, vocabulary=24, context=4)
RULES = {"SGD": Rule("sgd", 0.5, momentum=0.9), "Adam": Rule("adam", 1e-2)}


def over_seeds(rule: Rule, method: str) -> np.ndarray:
    """Return a row of numbers for each of 40 seeds."""
    return np.array([steps_of(SMALL, rule, method, seed, steps=4) for seed in range(40)])


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_steps_without_weights_equal_steps_with_them(name: str) -> None:
    """Losses, streams and profiles of four steps are those of real weights over 40 seeds (max-|z| permutation test at 1%)."""
    real, drawn = (over_seeds(RULES[name], how) for how in ("streamed", "sampled"))

    assert p_value(real, drawn) > ALPHA


@pytest.mark.slow
def test_another_rate_is_seen() -> None:
    """Negative control: a rate larger by half is told apart by the same test."""
    real = over_seeds(Rule("sgd", 0.5, momentum=0.9), "streamed")
    other = over_seeds(Rule("sgd", 0.75, momentum=0.9), "sampled")

    assert p_value(real, other) == 0
