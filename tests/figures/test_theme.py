"""The palette is readable on both papers and by colour-blind eyes."""

from itertools import combinations
from math import dist

import pytest

from fathometer.errors import FathometerError
from fathometer.figures.theme import FORECAST, INKS, PALETTE, colours, legend

# What a missing cone sees, as matrices on linear RGB: Machado, Oliveira & Fernandes 2009, severity 1.
EYES = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "red-blind": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "green-blind": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}


def linear(colour: str) -> tuple[float, ...]:
    """Return red, green and blue as amounts of light."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return tuple(part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)


def contrast(one: str, other: str) -> float:
    """Return the contrast of WCAG 2."""
    dark, light = sorted(
        sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear(colour), strict=True))
        for colour in (one, other)
    )
    return (light + 0.05) / (dark + 0.05)


def seen(colour: str, eye: str) -> tuple[float, float, float]:
    """Return the colour in CIELAB as an eye sees it."""
    rgb = [max(0, sum(a * b for a, b in zip(row, linear(colour), strict=True))) for row in EYES[eye]]
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    xyz = [sum(a * b for a, b in zip(row, rgb, strict=True)) for row in rows]
    x, y, z = (
        (part / white) ** (1 / 3) if part / white > 0.008856 else 7.787 * part / white + 16 / 116
        for part, white in zip(xyz, (0.9505, 1.0, 1.089), strict=True)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("paper", ["light", "dark"])
@pytest.mark.parametrize("colour", [*PALETTE, FORECAST])
def test_lines_stand_out(colour, paper):
    """Every line has a contrast of at least 3:1, what WCAG asks of graphics, on both papers."""
    assert contrast(colour, INKS[paper]["paper"]) >= 3


@pytest.mark.parametrize("ink", ["light", "dark"])
def test_words_are_readable(ink):
    """Text, also the muted one, has the contrast of 4.5:1 that WCAG asks of text."""
    assert min(contrast(INKS[ink][name], INKS[ink]["paper"]) for name in ("text", "muted")) >= 4.5


@pytest.mark.parametrize("eye", EYES)
def test_lines_are_told_apart(eye):
    """No two lines look alike to red-blind or green-blind eyes; a red and a green of one lightness would."""
    # 15 in CIELAB is far above the just noticeable difference of 2.3, for thin lines far from each other.
    assert min(dist(seen(one, eye), seen(other, eye)) for one, other in combinations(PALETTE, 2)) > 15
    assert dist(seen("#B07A00", "green-blind"), seen("#D9622B", "green-blind")) < 15


@pytest.mark.parametrize("labels", [["a", "b", "c", "d", "e"], ["a", "a"]], ids=["five", "twice the same"])
def test_lines_that_look_alike_are_refused(labels):
    """More lines than colours, or two lines of one name, are an error that names them."""
    with pytest.raises(FathometerError, match=f"The chart has {len(labels)} lines named a, "):
        colours(labels)


def test_one_line_needs_no_legend():
    """A single line has no legend; a second line or a forecast brings one."""
    assert legend(["a"]) is None
    assert legend(["a"], "forecast") is not None
