"""Many depth points at once have the numbers of each alone, to the last bit."""

import pytest
import torch
from torch import Tensor

from fathometer.instruments import all_finite
from fathometer.instruments.measuring import Seen, alone, together
from fathometer.instruments.operations import kind_of

EPS = 1e-14


def rows_of(seed: int, samples: int, units: int) -> Tensor:
    """Return rows with a shared part, as activations have it."""
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(1, units, generator=generator, dtype=torch.float64)
    return shared + torch.randn(samples, units, generator=generator, dtype=torch.float64)


def seen(index: int, samples: int, units: int) -> Seen:
    """Return a residual block's rows, what came before, and places."""
    before = rows_of(2 * index, samples, units)
    rows = before + 0.3 * rows_of(2 * index + 1, samples, units)
    return Seen(index, rows, EPS, before, rows.square())


@pytest.mark.parametrize(("samples", "units"), [(8, 5), (16, 64), (64, 64), (24, 33), (64, 1), (16, 515)])
def test_many_points_have_the_numbers_of_each(samples: int, units: int) -> None:
    """The fast way and the plain one agree in every bit."""
    points = [seen(index, samples, units) for index in range(5)]
    assert together(points) == [alone(point) for point in points]


@pytest.mark.parametrize("planted", [0.0, float("nan"), float("inf"), "zero row", "equal rows"])
def test_unusual_points_do_not_spoil_their_neighbours(planted: float | str) -> None:
    """What is all zero, equal, or not finite is told as it is alone; the points beside it are told as before."""
    points = [seen(index, 16, 12) for index in range(4)]
    odd = points[1].rows
    if planted == "zero row":
        odd[3] = 0
    elif planted == "equal rows":
        odd[:] = odd[0].clone()
    else:
        odd[:] = planted
    numbers, expected = together(points), [alone(point) for point in points]

    assert [numbers[0], *numbers[2:]] == [expected[0], *expected[2:]]
    assert str(numbers[1]) == str(expected[1])  # NaN equals itself in words


def test_the_comparison_can_fail() -> None:
    """The control: another point has other numbers."""
    assert alone(seen(0, 16, 12)) != alone(seen(1, 16, 12))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("planted", [1.0, float("nan"), float("inf"), float("-inf"), "both", "largest"])
def test_the_sum_tells_what_is_finite(planted: float | str, dtype: torch.dtype) -> None:
    """The fast way agrees with looking at each number, also where finite numbers overflow in their sum."""
    tensor = torch.ones(40, dtype=dtype)
    if planted == "both":
        tensor[3], tensor[5] = float("inf"), float("-inf")
    elif planted == "largest":
        tensor[:] = torch.finfo(dtype).max
    else:
        tensor[7] = planted

    assert all_finite(tensor) == (kind_of(tensor) is None)
