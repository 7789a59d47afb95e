"""Kernels over places: groups stand for their members, and brute force agrees."""

import numpy as np
import pytest

from fathometer.spec import Transformer
from fathometer.theory.places import Kernel, Places, group_places, mean_moment, mean_pair, repeats
from fathometer.theory.profile import Start
from fathometer.theory.transformer import cross_blocks, embed

SPEC = Transformer(depth=4, width=256, vocabulary=1000, context=200, init="lecun")


def one_by_one(num_places: int) -> Places:
    """Return every place as a group of its own, behind a causal mask."""
    return Places(np.ones(num_places), np.tril(np.ones((num_places, num_places))))


@pytest.mark.parametrize("num_places", [1, 2, 7, 64, 2048])
def test_groups_hold_every_place_once(num_places: int) -> None:
    """Sizes add up, the first places stand alone, and the last place looks at nearly all."""
    places = group_places(num_places, causal=True)

    assert places.sizes.sum() == num_places
    assert places.shares.sum() == pytest.approx(1)
    assert np.all(places.sizes[:6] == 1)
    assert places.visible[0] == 1
    assert num_places * 0.9 <= places.visible[-1] <= num_places
    assert len(places.sizes) <= 60


def test_without_a_mask_all_places_are_one_group() -> None:
    """Each place looks at all of them."""
    places = group_places(50, causal=False)

    assert places.sizes.tolist() == [50]
    assert places.visible.tolist() == [50]


def test_groups_stand_for_their_places() -> None:
    """Four blocks over 200 places in groups give what they give over 200 single places."""
    signals = []
    for places in (group_places(200, causal=True), one_by_one(200)):
        blocks = cross_blocks(embed(SPEC, Start(), places), SPEC, places)
        kernel = blocks[-1][-1].kernel
        signals.append([mean_moment(kernel, places), *mean_pair(kernel, places), *(kernel.same @ places.shares)])

    assert signals[0] == pytest.approx(signals[1], rel=0.01)  # a group is at most 15% of the places before it


def test_means_over_places_equal_loops() -> None:
    """Means and repeats of a kernel of explicit vectors are those of a double loop."""
    vectors = np.random.default_rng(0).standard_normal((5, 40))
    gram = vectors @ vectors.T / 40
    kernel = Kernel(np.diagonal(gram)[None].copy(), gram[None])
    places = one_by_one(5)
    apart = [gram[s, t] for s in range(5) for t in range(5) if s != t]

    assert mean_moment(kernel, places) == pytest.approx(np.diagonal(gram).mean())
    assert mean_pair(kernel, places) == pytest.approx(np.mean(apart))
    assert repeats(kernel, places) == pytest.approx((gram**2).mean() / np.diagonal(gram).mean() ** 2)


def test_scaling_and_adding_are_those_of_the_vectors() -> None:
    """Factors of second moments multiply pairs by their roots; independent vectors add."""
    kernel = Kernel(np.array([[1.0, 2.0]]), np.array([[[1.0, 0.5], [0.5, 2.0]]]))
    scaled = kernel.scaled(np.array([4.0, 9.0]))

    assert scaled.same.tolist() == [[4.0, 18.0]]
    assert scaled.pairs[0, 0, 1] == pytest.approx(0.5 * 6)
    assert kernel.plus(kernel).same.tolist() == kernel.times(2.0).same.tolist()
    assert kernel.cosines().same == pytest.approx(1.0)
