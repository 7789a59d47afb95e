"""Each activation is the function it is named after, and its slope is its derivative."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fathometer.activations import ACTIVATIONS, LEAKY_SLOPE, Activation, find_activation
from fathometer.errors import SpecError

TORCH: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "linear": lambda x: x,
    "relu": torch.relu,
    "leaky_relu": lambda x: torch.nn.functional.leaky_relu(x, LEAKY_SLOPE),
    "elu": torch.nn.functional.elu,
    "gelu": torch.nn.functional.gelu,
    "gelu_tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "silu": torch.nn.functional.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "selu": torch.selu,
}
STEP = 1e-5
GRID = np.linspace(-8, 8, 1601)
EVERY = pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=lambda activation: activation.name)


def derivative(function: Callable[[np.ndarray], np.ndarray], x: float) -> float:
    """Return the central difference."""
    above, below = function(np.array([x + STEP, x - STEP]))
    return float((above - below) / (2 * STEP))


@EVERY
@settings(deadline=None)
@given(x=st.floats(-30, 30))
def test_the_slope_is_the_derivative(activation: Activation, x: float) -> None:
    """Away from its kinks an activation's slope equals a central difference."""
    if any(abs(x - kink) < 2 * STEP for kink in activation.kinks):
        return

    # Rounding of φ near 30 gives 30 · 2e-16 / 1e-5 = 7e-10; the step itself 1e-10 · φ‴/6 < 1e-10.
    assert float(activation.slope(np.array([x]))[0]) == pytest.approx(derivative(activation.function, x), abs=3e-9)


def test_a_wrong_slope_is_seen() -> None:
    """The textbook slip, σ(x) for the slope of silu, is far outside that tolerance."""
    silu = find_activation("silu")

    assert abs(float(find_activation("sigmoid").function(np.array([1.0]))[0]) - derivative(silu.function, 1.0)) > 0.1


@EVERY
def test_it_equals_torch(activation: Activation) -> None:
    """Function and slope equal torch's own, and torch's gradient of it, in double precision."""
    points = GRID + 0.001  # off the kinks, where the slope is a convention
    x = torch.tensor(points, requires_grad=True)
    y = TORCH[activation.name](x)
    (slope,) = torch.autograd.grad(y.sum(), x)

    # Both sides round differently in the last few bits of values up to 8.
    np.testing.assert_allclose(activation.function(points), y.detach().numpy(), atol=1e-13)
    np.testing.assert_allclose(activation.slope(points), slope.numpy(), atol=1e-13)


@EVERY
def test_a_jump_of_the_slope_is_a_listed_kink(activation: Activation) -> None:
    """The slope jumps nowhere but at the listed kinks."""
    middles = (GRID[1:] + GRID[:-1]) / 2
    jumps = np.abs(np.diff(activation.slope(GRID + 1e-9)))

    # No slope here bends by more than 1.8 for each unit of x: 0.02 over a step of 0.01; leaky ReLU jumps by 0.99.
    places = middles[jumps > 0.02]

    assert [x for x in places if min((abs(x - kink) for kink in activation.kinks), default=np.inf) > 0.01] == []


@EVERY
def test_homogeneous_means_that_scale_passes_through(activation: Activation) -> None:
    """φ(3x) = 3φ(x) for exactly the activations that are called homogeneous."""
    gap = np.abs(activation.function(3 * GRID) - 3 * activation.function(GRID)).max()

    # 24 has an ulp of 4e-15; the least curved of the others is off by more than 1.
    assert (gap < 1e-13) == activation.homogeneous


@EVERY
def test_zeroes_means_that_a_unit_can_die(activation: Activation) -> None:
    """φ and φ′ are exactly 0 for all negative inputs of exactly the activations that are said to zero."""
    below = GRID[GRID < 0]

    assert bool((activation.function(below) == 0).all() and (activation.slope(below) == 0).all()) == activation.zeroes


@EVERY
def test_saturates_means_that_both_ends_are_flat(activation: Activation) -> None:
    """φ′ is nearly 0 at both ends of exactly the activations that are said to saturate."""
    # 1 - tanh² rounds to 0 and σ′(40) = e^-40 = 4e-18.
    assert bool((activation.slope(np.array([-40.0, 40.0])) < 1e-15).all()) == activation.saturates


@EVERY
def test_the_classic_gain_is_the_textbook_one(activation: Activation) -> None:
    """The classic gain is torch's `calculate_gain`, and None where torch has none."""
    if activation.name in ("elu", "gelu", "gelu_tanh", "silu"):
        assert activation.classic_gain is None
        return
    parameter = LEAKY_SLOPE if activation.name == "leaky_relu" else None
    expected = torch.nn.init.calculate_gain(activation.name, parameter)

    assert activation.classic_gain == pytest.approx(expected)


@EVERY
@pytest.mark.parametrize("shape", [(3,), (2, 0), (2, 3, 4)], ids=str)
def test_any_shape_passes(activation: Activation, shape: tuple[int, ...]) -> None:
    """An array of any shape gives an array of that shape."""
    x = np.full(shape, 0.5)

    assert (activation.function(x).shape, activation.slope(x).shape) == (shape, shape)


@EVERY
def test_huge_inputs_stay_finite(activation: Activation) -> None:
    """An exploding network's inputs give finite values and slopes, without a warning of overflow."""
    x = np.array([-1e6, -750.0, 750.0, 1e6])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert np.isfinite(activation.function(x)).all()
        assert np.isfinite(activation.slope(x)).all()


def test_an_activation_is_filed_under_its_name() -> None:
    """The catalogue's keys are the names, and finding by name gives the same object."""
    assert [find_activation(name).name for name in ACTIVATIONS] == list(ACTIVATIONS)


def test_an_unknown_activation_is_a_spec_error() -> None:
    """A name that is not in the catalogue is the user's mistake."""
    with pytest.raises(SpecError, match='Did you mean "tanh"'):
        find_activation("tahn")
