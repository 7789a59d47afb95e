"""A sparkline shows the shape and hides nothing that is broken."""

import pytest

from fathometer.text import sparkline


@pytest.mark.parametrize("count", [0, 1, 5, 24, 25, 96])
def test_the_width_is_never_exceeded(count):
    """There is one character for each number, up to the width."""
    assert len(sparkline([float(index) for index in range(count)])) == min(count, 24)


def test_a_rise_rises_and_a_constant_is_flat():
    """The lowest number has the lowest block, the highest the highest; equal numbers have equal blocks."""
    assert sparkline([1.0, 2.0, 3.0, 8.0]) == "▁▂▃█"
    assert len(set(sparkline([0.3] * 10))) == 1


def test_a_logarithm_shows_decades_evenly():
    """Under a logarithm equal ratios are equal steps, which a linear one squashes."""
    decades = [10.0**-power for power in range(8)]

    assert sparkline(decades, log=True) == "█▇▆▅▄▃▂▁"
    assert sparkline(decades).count("▁") == 6


@pytest.mark.parametrize(("broken", "sign"), [(float("inf"), "↑"), (0.0, "_")])
def test_one_broken_layer_among_many_is_seen(broken, sign):
    """One infinite or zero number among a thousand is still there when the line is short."""
    numbers = [1.0] * 1000

    assert sign not in sparkline(numbers, log=True)

    numbers[517] = broken

    assert sparkline(numbers, log=True).count(sign) == 1


def test_unknown_is_a_dot():
    """What was not measured is a dot, and not a number."""
    assert sparkline([None, 1.0, float("nan"), 2.0]) == "·▁·█"
