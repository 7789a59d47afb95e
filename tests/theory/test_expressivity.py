"""Bounds on what depth can express, and the networks that attain them."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from fathometer.data import tent
from fathometer.errors import SpecError
from fathometer.theory import (
    folding_network,
    least_error,
    most_pieces_on_a_line,
    most_regions_of_one_layer,
    parity_network,
    regions_within_reach,
    shallow_sawtooth,
    shallow_twin,
    square_network,
    tent_network,
    units_for_parity,
    units_for_sawtooth,
    width_that_fails,
)


def dyadic(folds: int) -> np.ndarray:
    """Return the ends and the middles of the 2^folds pieces, where float64 is exact."""
    return np.arange(2 ** (folds + 1) + 1) / 2 ** (folds + 1)


@pytest.mark.parametrize("folds", [1, 2, 5, 12])
def test_the_tent_network_is_the_tent_map(folds: int) -> None:
    """k layers of 2 units are t^k to the last bit: 2k units, 6k + 1 parameters. Case 1 of the facts at k = 12."""
    network, x = tent_network(folds), dyadic(folds)

    assert np.abs(network(x) - tent(x, folds)).max() == 0
    assert (network.num_units, network.num_parameters) == (2 * folds, 6 * folds + 1)
    assert network.widths == (2,) * folds


@pytest.mark.parametrize("skip", [False, True])
def test_one_layer_needs_a_unit_for_each_kink(skip: bool) -> None:
    """The shallow sawtooth equals the deep one on [0, 1], with the units that theory says it needs, and no fewer kinks."""
    network, x = shallow_sawtooth(7, skip=skip), np.linspace(0, 1, 4001)

    assert np.abs(network(x) - tent(x, 7)).max() < 1e-10  # sums of 128 jumps of ±256: rounding of 1e-16 each
    assert network.num_units == units_for_sawtooth(7, skip=skip) == 128 - skip


def test_ten_folds_cost_twenty_units_or_a_thousand() -> None:
    """20 units and 61 parameters in ten layers, 1,024 and 3,073 in one."""
    deep, shallow = tent_network(10), shallow_sawtooth(10)

    assert (deep.num_units, deep.num_parameters) == (20, 61)
    assert (shallow.num_units, shallow.num_parameters) == (1024, 3073)


def test_a_unit_left_out_is_seen() -> None:
    """The control: without one of its units the shallow network is another function."""
    places = np.arange(9) / 8
    fewer = shallow_twin(np.delete(places, 3), np.delete(np.arange(9) % 2.0, 3))

    assert np.abs(fewer(places) - tent(places, 3)).max() > 0.5


@pytest.mark.parametrize("folds", [1, 2, 3, 5, 8])
def test_the_square_is_off_by_a_quarter_for_each_fold(folds: int) -> None:
    """sup |f_m − x²| = 2^(−2m − 2), taken in the middle of each piece; 2^-12 at m = 5. Case 3 of the facts."""
    x = dyadic(folds)
    network = square_network(folds)

    assert abs(np.abs(network(x) - x**2).max() - 2.0 ** (-2 * folds - 2)) < 1e-12
    assert network.num_units == 3 * folds


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_parity_of_every_row_of_bits(bits: int) -> None:
    """2 log₂ n units give the parity of each of the 2^n rows; a layer on the sum needs n − 1."""
    rows = (np.arange(2**bits)[:, None] >> np.arange(bits) & 1).astype(float)
    network = parity_network(bits)

    assert np.array_equal(network(rows)[:, 0], rows.sum(axis=1) % 2)
    assert network.num_units == 2 * np.log2(bits)
    assert units_for_parity(bits) == bits - 1


def test_regions_of_known_shapes() -> None:
    """Montúfar's bound and Zaslavsky's count at the shapes of the facts. Case 4."""
    assert regions_within_reach([4, 4, 4], 2) == 176
    assert most_regions_of_one_layer(12, 2) == 79
    assert regions_within_reach([8] * 8, 2) == 9_932_111_872
    assert most_regions_of_one_layer(64, 2) == 2_081
    assert most_regions_of_one_layer(3, 5) == 2**3 == sum(comb(3, j) for j in range(4))


def test_pieces_on_a_line() -> None:
    """A layer multiplies pieces by its units and one; the tent network has fewer, as its two units share a kink."""
    assert most_pieces_on_a_line([3, 4]) == 20
    assert most_pieces_on_a_line([2] * 10) >= 2**10


def fewest_errors(points: int, stretches: int) -> int:
    """Return the fewest errors that labels in so many stretches make on alternating labels, by dynamic programme."""
    infinite = points + 1
    best = {(1, label): 0 for label in (0, 1)}  # (stretches so far, label) → errors
    for point in range(points):
        step: dict[tuple[int, int], int] = {}
        for (used, label), errors in best.items():
            for after in (0, 1):
                now = used + (after != label) * (point > 0)
                if now <= stretches and (point > 0 or after == label):
                    cost = errors + (after != point % 2)
                    step[now, after] = min(step.get((now, after), infinite), cost)
        best = step
    return min(best.values())


@pytest.mark.parametrize("folds", [3, 4, 5, 6])
def test_no_function_of_few_pieces_beats_the_bound(folds: int) -> None:
    """A function of t pieces crosses a half at most 2t − 1 times: the best such labels err at least as the bound says."""
    points = 2**folds
    for pieces in range(1, points // 4 + 1):
        assert Fraction(fewest_errors(points, 2 * pieces), points) >= least_error(pieces, points)


def test_a_sixth_is_wrong_at_an_eighth_of_the_pieces() -> None:
    """The bound is exactly 1/6 at t = n/8, which is where theorem 1.1 takes it, and 0 where there are pieces enough. Case 7."""
    for folds, layers in [(4, 1), (9, 2), (12, 3)]:
        points = 2**folds
        most = round((2 * width_that_fails(folds, layers)) ** layers)
        assert most == points // 8
        assert least_error(most, points) == Fraction(1, 6)
    assert least_error(2**5, 2**5) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: tent_network(0),
        lambda: parity_network(6),
        lambda: regions_within_reach([4, 1], 2),
        lambda: least_error(0, 4),
        lambda: folding_network([4, 0], 2),
    ],
)
def test_what_cannot_be_is_refused(wrong) -> None:
    """Counts below one, bits that are no power of two, layers narrower than the input."""
    with pytest.raises(SpecError):
        wrong()
