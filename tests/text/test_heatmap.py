"""Depth by step as text: where things are, and what is never hidden."""

import doctest

from fathometer.text import heat_colour, heat_levels, heat_text, heatmap


def test_the_examples_in_the_docstrings_hold() -> None:
    """Levels, shades and colours are what the docstrings show."""
    assert doctest.testmod(heatmap).failed == 0


def test_a_large_run_fits_the_screen() -> None:
    """Of many steps and layers each cell is a stretch; the last layer is on top, the last step to the right."""
    rows = [[10.0 ** (step / 100 + place) for place in range(50)] for step in range(300)]
    levels = heat_levels(rows, width=40, height=10)

    assert (len(levels), len(levels[0])) == (10, 40)
    assert levels[0][-1] == 1.0
    assert levels[-1][0] == 0.0


def test_what_is_infinite_is_not_hidden_by_its_neighbours() -> None:
    """One infinite number in a stretch marks its cell; what is unknown has its own sign."""
    rows = [[1.0, None]] * 9 + [[float("inf"), None]]

    assert heat_text(heat_levels(rows, width=2)) == ["··", "▒!"]


def test_colours_rise_in_lightness() -> None:
    """From low to high every colour is lighter than the one before, so that grey paper and colour-blind eyes can read it."""
    lights = [sum(int(heat_colour(level / 20)[at : at + 2], 16) * w for at, w in ((1, 3), (3, 6), (5, 1))) for level in range(21)]

    assert lights == sorted(lights)
