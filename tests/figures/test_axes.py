"""Axes hold what they must and label it readably."""

import json

import pytest

from fathometer.figures.axes import Decades, decades, depth_ticks, linear_y, log_y


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1e-12, 1.0], (-12, 0)),
        ([0.3, 4.0], (-1, 1)),
        ([1.0, 1.0], (-1, 1)),
        ([0.0, float("nan"), float("inf"), 1e-3, 2e-3], (-3, -2)),
        ([], (-1, 1)),
        ([5e-324, 1.7e308], (-307, 308)),
    ],
)
def test_decades_hold_all_that_can_be_held(values, expected):
    """A logarithmic axis spans whole decades around the finite numbers above 0, within what a float holds."""
    axis = decades(values)

    assert (axis.low, axis.high) == expected


def test_room_is_made_for_marks_off_the_scale():
    """Room below and above is added only where it is asked for, and grows with the span."""
    assert decades([1e-3, 1.0], room_below=True) == Decades(-4, 0)
    assert decades([1e-60, 1.0], room_below=True, room_above=True) == Decades(-66, 6)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), 1e-9, 100.0])
def test_what_a_logarithm_cannot_show_is_not_held(value):
    """Zero, negative numbers, nan, infinity and what lies outside do not stand on the axis."""
    assert not Decades(-3, 1).holds(value)
    assert Decades(-3, 1).holds(0.5)


def ticks_and_labels(axis: Decades) -> dict[float, str]:
    """Return the ticks of an axis with their labels."""
    table = log_y("value", axis).to_dict()["axis"]
    labels = json.loads(table["labelExpr"].split("[indexof")[0])
    return dict(zip(table["values"], labels, strict=True))


def test_many_decades_are_powers_of_ten():
    """A long axis has few labels, written as powers."""
    assert ticks_and_labels(Decades(-12, 0)) == {
        1e-12: "10⁻¹²",
        1e-10: "10⁻¹⁰",
        1e-8: "10⁻⁸",
        1e-6: "10⁻⁶",
        1e-4: "10⁻⁴",
        1e-2: "10⁻²",
        1.0: "1",
    }


def test_few_decades_are_plain_numbers():
    """A short axis has plain numbers between the powers."""
    assert list(ticks_and_labels(Decades(-1, 0)).values()) == ["0.1", "0.2", "0.5", "1"]


@pytest.mark.parametrize("axis", [Decades(-307, 308), Decades(-40, 3), Decades(0, 3)])
def test_a_narrow_chart_holds_the_labels(axis):
    """There are between two and eight labels, whatever the span."""
    assert 2 <= len(ticks_and_labels(axis)) <= 8


@pytest.mark.parametrize(("first", "last"), [(1, 1), (1, 2), (0, 12), (1, 50), (1, 96), (1, 1000), (1, 10_001)])
def test_depths_are_labelled_from_first_to_last(first, last):
    """Depth labels are whole, rising, few, and contain both ends."""
    ticks = depth_ticks(first, last)

    assert ticks[0] == first
    assert ticks[-1] == last
    assert ticks == sorted(set(ticks))
    assert len(ticks) <= 9


def test_a_flat_column_of_zeros_still_has_an_axis():
    """A linear axis has a span even where all numbers are 0, and reaches below 0 only for negative numbers."""
    assert linear_y("value", [0.0, 0.0]).to_dict()["scale"]["domain"] == [0.0, 1.0]
    assert linear_y("value", [-0.2, 0.5], whole=True).to_dict()["scale"]["domain"] == [-0.2, 1.0]
