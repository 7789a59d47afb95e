"""What depth can express: pieces and regions at most, errors at least.

Letters: n₀ inputs, n_l (and m) units of layer l, L hidden layers, k folds of the tent map, t pieces of a function on a line,
n points whose labels alternate.

These are statements about the best network of a shape, not about a network that was drawn at random or trained: at He's
initialisation the number of pieces does not grow with depth at a fixed number of units (Hanin & Rolnick 2019, "Complexity of
linear regions in deep networks").

Zaslavsky 1975; Montúfar et al. 2014, "On the number of linear regions of deep neural networks"; Telgarsky 2015,
"Representation benefits of deep feedforward networks".
"""

from collections.abc import Sequence
from fractions import Fraction
from math import comb, prod

from fathometer.errors import SpecError


def most_pieces_on_a_line(widths: Sequence[int]) -> int:
    """Return the most linear pieces that a ReLU network can have along a line: ∏ (n_l + 1).

    Each unit of a layer bends each piece that reaches it once at most.

    >>> most_pieces_on_a_line([2] * 10), most_pieces_on_a_line([20])
    (59049, 21)
    """
    _check(widths=min(widths, default=0))
    return prod(width + 1 for width in widths)


def most_regions_of_one_layer(units: int, inputs: int) -> int:
    """Return into how many regions `units` hyperplanes cut a space of `inputs` dimensions at most: Σ_{j ≤ n₀} C(n, j).

    Exact for one hidden layer in general position. Zaslavsky 1975.

    >>> most_regions_of_one_layer(12, 2)
    79
    """
    _check(units=units, inputs=inputs)
    return sum(comb(units, j) for j in range(inputs + 1))


def regions_within_reach(widths: Sequence[int], inputs: int) -> int:
    """Return a number of linear regions that some ReLU network of this shape does have, a lower bound of the most.

    (∏_{l<L} ⌊n_l/n₀⌋^n₀) Σ_{j ≤ n₀} C(n_L, j): the first layers fold the space, the last one cuts it (Montúfar et al. 2014).

    >>> regions_within_reach([4, 4, 4], 2)
    176
    """
    _check(widths=min(widths, default=0), inputs=inputs)
    if min(widths) < inputs:
        raise SpecError(
            f"A layer has {min(widths)} units and there are {inputs} inputs",
            "The bound is for layers at least as wide as the input",
            f"Take widths of at least {inputs}",
        )
    folds = prod((width // inputs) ** inputs for width in widths[:-1])
    return folds * most_regions_of_one_layer(widths[-1], inputs)


def least_error(pieces: int, points: int) -> Fraction:
    """Return the share of `points` points with alternating labels that a function of so many pieces must get wrong.

    (n − 4t)/(3n), and 0 where that is negative. Telgarsky 2015.

    >>> least_error(16, 128)
    Fraction(1, 6)
    """
    _check(pieces=pieces, points=points)
    return max(Fraction(0), Fraction(points - 4 * pieces, 3 * points))


def width_that_fails(folds: int, layers: int) -> float:
    """Return how many units in each of `layers` layers are too few: with as many or less a sixth of 2^folds points is wrong.

    m ≤ 2^((k − 3)/l − 1), for then the network has t ≤ (2m)^l ≤ n/8 pieces. A network of 2 units and `folds` layers is
    exact. Telgarsky 2015, theorem 1.1.

    >>> width_that_fails(folds=11, layers=1), width_that_fails(folds=11, layers=2)
    (128.0, 8.0)
    """
    _check(folds=folds, layers=layers)
    return 2.0 ** ((folds - 3) / layers - 1)


def units_for_sawtooth(folds: int, *, skip: bool = False) -> int:
    """Return how many units one hidden layer needs to be the tent map applied `folds` times on [0, 1]: 2^k, or 2^k − 1.

    Its 2^k − 1 kinks need a unit each. Without a linear `skip` term one more is needed: the slope at the left would be a sum
    of jumps, each ±2^(k+1), and it is 2^k.

    >>> units_for_sawtooth(10), units_for_sawtooth(10, skip=True)
    (1024, 1023)
    """
    _check(folds=folds)
    return 2**folds - skip


def units_for_parity(bits: int) -> int:
    """Return how many units one hidden layer on the sum of the bits needs at least for their parity: a kink for each turn.

    It says nothing of networks that see the bits themselves.

    >>> units_for_parity(16)
    15
    """
    _check(bits=bits)
    return bits - 1


def _check(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise SpecError(f"`{name}` is {count}", "It must be a whole number of at least 1", f"Try {name} = 1")
