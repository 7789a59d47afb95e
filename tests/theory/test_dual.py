"""What an activation makes of a kernel: the series against the quadrature of a pair."""

import numpy as np
import pytest

from fathometer.activations import ACTIVATIONS, find_activation
from fathometer.theory.dual import activated, slopes
from fathometer.theory.maps import pair_moment, pair_slope_moment, signal_moment
from fathometer.theory.places import Kernel

COSINES = np.array([-0.9, 0.0, 0.3, 0.8, 0.99])


def kernel_of(length: float) -> Kernel:
    """Return a kernel of one length with these cosines between places."""
    size = len(COSINES)
    return Kernel(np.full((1, size), length), length * np.tile(COSINES, (1, size, 1)))


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("length", [0.1, 1.0, 5.0])
def test_a_kernel_goes_through_as_its_pairs_do(name: str, length: float) -> None:
    """φ and φ′ of a kernel equal the double integral, pair by pair."""
    phi, kernel = find_activation(name), kernel_of(length)
    through, slope = activated(kernel, phi), slopes(kernel, phi)
    scale = float(signal_moment(phi, length))

    assert through.same[0] == pytest.approx(scale, rel=1e-6)
    # 24 powers of the cosine: a slope that jumps (selu) leaves most for those beyond
    assert through.pairs[0, 0] == pytest.approx(pair_moment(phi, length, COSINES), abs=2e-3 * scale)
    assert slope.pairs[0, 0] == pytest.approx(pair_slope_moment(phi, length, COSINES), abs=0.02)


def test_another_activation_is_not_the_same() -> None:
    """The kernel of gelu is far from that of tanh."""
    gelu, tanh = (activated(kernel_of(1.0), find_activation(name)).pairs[0, 0] for name in ("gelu", "tanh"))

    assert gelu != pytest.approx(tanh, abs=0.05)


def test_places_of_different_lengths_keep_their_own() -> None:
    """With lengths of 1 and 4 a ReLU's kernel has half of each, and the pair the root of their product."""
    kernel = Kernel(np.array([[1.0, 4.0]]), np.array([[[1.0, 1.0], [1.0, 4.0]]]))  # cosine 0.5 between the two
    through = activated(kernel, find_activation("relu"))

    assert through.same[0] == pytest.approx([0.5, 2.0])
    assert through.pairs[0, 0, 1] == pytest.approx(2 * float(pair_moment(find_activation("relu"), 1.0, 0.5)))
