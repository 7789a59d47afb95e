"""Numbers are written as people read them."""

import pytest

from fathometer.text import number_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.001, "0.001"),
        (0.000999, "10⁻³"),  # three digits would be more than a tooltip needs
        (-0.25, "-0.25"),
        (99.96, "100"),
        (214858.0, "2.1×10⁵"),
        (99_999.0, "99,999"),
        (1e-300, "10⁻³⁰⁰"),
        (float("inf"), "infinite"),
        (float("-inf"), "minus infinite"),
        (float("nan"), "not a number"),
    ],
)
def test_numbers_are_short(value, text):
    """Numbers have two or three digits, tiny and huge ones a power of ten, and what is not finite is said in words."""
    assert number_text(value) == text
