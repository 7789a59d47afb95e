"""Bands over seeds and maps over grids show what they were given."""

import math

import pytest
import vl_convert

from fathometer.errors import FathometerError
from fathometer.figures import band_chart, heat_chart, spec


def data(chart) -> list[dict]:
    """Return all rows that a chart draws."""
    return [row for rows in spec(chart)["datasets"].values() for row in rows]


def bands(lines, **settings):
    """Return a chart of bands."""
    return band_chart(lines, title="Loss", subtitle="of networks", axis="depth", **settings)


def test_a_band_is_the_range_and_its_line_the_median() -> None:
    """At each x from the lowest to the highest seed; what is not finite is left out."""
    rows = data(bands([("plain", [(2.0, [1.0, 3.0, 9.0]), (8.0, [math.inf, 4.0])])]))

    assert [(row["x"], row["low"], row["value"], row["high"]) for row in rows] == [(2.0, 1.0, 3.0, 9.0), (8.0, 4.0, 4.0, 4.0)]


def test_a_chart_of_bands_describes_itself_and_can_be_drawn() -> None:
    """The description has both ends; axes may be logarithmic, with a value to compare with."""
    chart = bands([("one", [(1.0, [0.5]), (10.0, [0.1])]), ("two", [(1.0, [0.9])])], log=(True, True), reference=(0.5, "half"))

    assert "one goes from 0.5 to 0.1" in spec(chart)["description"]
    assert vl_convert.vegalite_to_png(spec(chart))[:4] == b"\x89PNG"


def test_five_lines_are_too_many() -> None:
    """More lines than colours that can be told apart are refused."""
    with pytest.raises(FathometerError, match="up to 4 lines"):
        bands([(str(number), [(1.0, [1.0])]) for number in range(5)])


def heat(places, **settings):
    """Return a map."""
    return heat_chart(
        places, title="What trains", subtitle="s", axes=("gain", "depth"), value="accuracy", percent=True, **settings
    )


def test_cells_touch_half_way_between_their_places() -> None:
    """A cell reaches half-way to its neighbours, and as far outwards at the ends; None is left empty."""
    rows = [row for row in data(heat([(1.0, 5.0, 0.1), (2.0, 5.0, 0.9), (4.0, 5.0, None)])) if "right" in row]

    assert [(row["x"], row["right"]) for row in rows] == [(0.5, 1.5), (1.5, 3.0)]
    assert [row["words"] for row in rows] == ["10%", "90%"]


def test_a_curve_over_a_map_ends_where_the_map_does() -> None:
    """Points outside of the grid are not drawn, and the peak that is cut off leaves two arms."""
    places = [(float(x), float(y), 0.5) for x in (1, 2, 3) for y in (10, 20)]
    curve = [(1.0, 12.0), (2.0, 400.0), (3.0, 18.0)]
    rows = [row for row in data(heat(places, curves=[("theory", curve)])) if "part" in row]
    chart = heat(places, curves=[("theory", curve)])

    assert [(row["x"], row["part"]) for row in rows] == [(1.0, "left"), (3.0, "right")]
    assert "over it: theory" in spec(chart)["description"]
    assert vl_convert.vegalite_to_png(spec(chart))[:4] == b"\x89PNG"
