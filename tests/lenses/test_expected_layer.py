"""The expected layer is where a level is learned, with an interval, or unknown."""

import numpy as np
import pytest

from fathometer.lenses import expected_layer
from fathometer.lenses.expected_layer import Expected, order_of, pooled, relation


def reading(accuracies: list[float], items: int = 1200, seed: int = 0) -> np.ndarray:
    """Return which items each layer reads right, at these accuracies."""
    return np.random.default_rng(seed).random((len(accuracies), items)) < np.array(accuracies)[:, None]


def of(accuracies: list[float], seed: int = 0, chance: float = 0.25) -> Expected:
    """Return the expected layer of single items."""
    right = reading(accuracies, seed=seed)
    return expected_layer(right, np.arange(right.shape[1]), chance)


def test_a_step_is_found_where_it_is() -> None:
    """What is read from layer 3 on, and not before, is expected at layer 3; what the input holds, at 0."""
    late, there = of([0.25, 0.25, 0.25, 0.9, 0.9, 0.9]), of([0.9] * 6)

    assert late.layer == pytest.approx(3, abs=0.25)
    assert late.low < 3 < late.high
    assert there.layer == pytest.approx(0, abs=0.15)


def test_what_the_input_holds_is_not_what_layers_add() -> None:
    """Half known from the input and the rest added by layer 2 is expected at 2; the parts are told apart."""
    found = of([0.6, 0.6, 0.9, 0.9])

    # 600 items judge each half: a share is known to .02, and the layers add .3
    assert found.layer == pytest.approx(2, abs=0.3)
    assert (found.given, found.gain) == pytest.approx((0.35, 0.3), abs=0.05)


def test_two_equal_steps_are_expected_half_way() -> None:
    """Σ l Δ / Σ Δ: half gained at layer 1 and half at 5 is 3, as by hand (Tenney et al. 2019)."""
    assert of([0.2, 0.5, 0.5, 0.5, 0.5, 0.8], chance=0.2).layer == pytest.approx(3, abs=0.4)


def test_what_falls_again_stays_learned() -> None:
    """A level that later layers forget is learned where it was first read."""
    assert of([0.25, 0.9, 0.7, 0.5, 0.3]).layer == pytest.approx(1, abs=0.1)


def test_what_is_not_learned_has_no_layer() -> None:
    """The control: at guessing there is no expected layer, in nearly all of 20 draws of noise."""
    found = [of([0.25] * 8, seed=seed).layer for seed in range(20)]

    assert sum(layer is None for layer in found) >= 18


@pytest.mark.slow
def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """A 95% interval misses the true layer in few of 20 draws, and shrinks like one over the root of the items."""
    wide, narrow = [], []
    misses = 0
    for seed in range(20):
        few, many = (
            expected_layer(right, np.arange(right.shape[1]), 0.25)
            for right in (reading([0.25, 0.4, 0.6, 0.8], items, seed) for items in (200, 1800))
        )
        truth = (1 * 0.15 + 2 * 0.2 + 3 * 0.2) / 0.55
        misses += not few.low <= truth <= few.high
        wide.append(few.high - few.low)
        narrow.append(many.high - many.low)

    assert misses <= 4  # 1 expected; 4 or fewer with probability .997
    assert 2.2 < np.median(wide) / np.median(narrow) < 4.2  # √9 = 3


def test_items_of_a_group_are_drawn_together() -> None:
    """Ten copies of each item are no more evidence: the interval is as wide as that of the items alone."""
    right = reading([0.25, 0.5, 0.8], 200)
    alone = expected_layer(right, np.arange(200), 0.25)
    copied = expected_layer(right.repeat(10, axis=1), np.arange(200).repeat(10), 0.25)

    assert copied.high - copied.low == pytest.approx(alone.high - alone.low, rel=0.2)


def test_neighbours_are_told_apart_or_not() -> None:
    """Before, after, and not told apart, which is also said of what was not learned."""
    early, late, unknown = of([0.25, 0.9, 0.9, 0.9]), of([0.25, 0.25, 0.25, 0.9], 1), of([0.25] * 4, 2)
    order = order_of({"one": early, "two": late, "three": early, "four": unknown})

    assert [told for _, _, told in order] == ["before", "after", "not told apart"]
    assert relation(early, of([0.25, 0.9, 0.9, 0.9], 3)) == "not told apart"


def test_seeds_are_pooled() -> None:
    """The pooled layer is the mean, its interval spans both; one that is unknown makes it unknown."""
    one, other = of([0.25, 0.9, 0.9, 0.9]), of([0.25, 0.25, 0.25, 0.9], 1)
    both = pooled([one, other])

    assert both.layer == pytest.approx((one.layer + other.layer) / 2)
    assert both.low < 1.2
    assert both.high > 2.8
    assert pooled([one, of([0.25] * 4, 2)]).layer is None
