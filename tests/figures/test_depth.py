"""A column along depth is drawn whole, and what cannot be drawn says so."""

import json

import pytest
import vl_convert

from fathometer.depth_profile import COLUMNS, DepthProfile
from fathometer.errors import FathometerError
from fathometer.figures import depth_chart, spec
from fathometer.figures.depth import FORECAST_LABEL, TITLES

INFINITY, NAN = float("inf"), float("nan")


def profile(**values):
    """Return a measured profile of the given columns."""
    length = len(next(iter(values.values())))
    return DepthProfile("measured", tuple(f"blocks.{index}" for index in range(length)), values)


def forecast(low, high):
    """Return a forecast of the gradient, with the middle of the band as its line."""
    values = tuple((a * b) ** 0.5 for a, b in zip(low, high, strict=True))
    points = tuple(f"blocks.{index}" for index in range(len(low)))
    return DepthProfile("forecast", points, {"gradient": values}, {"gradient": low}, {"gradient": high})


def rows(chart, network):
    """Return what is drawn of one network."""
    datasets = spec(chart)["datasets"]
    return [row for name, data in datasets.items() if name != "readout" for row in data if row.get("network") == network]


def readouts(chart):
    """Return what the tooltips say, depth by depth."""
    return spec(chart)["datasets"]["readout"]


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_can_be_drawn(column):
    """Each column of a profile has a title and compiles to a picture with its dots."""
    chart = depth_chart(column, [("network", profile(**{column: (0.2, 0.4, 0.9)}))])

    picture = vl_convert.vegalite_to_svg(spec(chart))

    assert TITLES[column][0] in picture
    assert picture.count('aria-roledescription="point"') == 3


def test_titles_and_columns_are_the_same():
    """No column lacks a title, and no title lacks a column."""
    assert set(TITLES) == set(COLUMNS)


def test_a_zero_stands_at_the_floor_and_says_so():
    """A zero on a logarithmic axis is a triangle at the floor, in a decade of its own, and the tooltip says 0."""
    chart = depth_chart("gradient", [("network", profile(gradient=(0.0, 1e-3, 1.0)))])
    marks = [layer["mark"] for layer in spec(chart)["layer"] if layer["mark"].get("style") == "off-scale"]

    assert [mark["shape"] for mark in marks] == ["triangle-down"]
    assert readouts(chart)[0]["shown0"] == "0 (drawn at the floor)"
    assert spec(chart)["layer"][1]["encoding"]["y"]["scale"]["domain"] == [1e-4, 1.0]


@pytest.mark.parametrize(("number", "text"), [(INFINITY, "infinite"), (NAN, "not a number")])
def test_what_is_not_finite_stands_at_the_ceiling_and_says_so(number, text):
    """Infinity and nan are triangles at the ceiling, on a logarithmic and on a linear axis."""
    for column in ("gradient", "branch_ratio"):
        chart = depth_chart(column, [("network", profile(**{column: (1.0, number)}))])
        shapes = [layer["mark"].get("shape") for layer in spec(chart)["layer"]]

        assert "triangle-up" in shapes
        assert "triangle-down" not in shapes
        assert readouts(chart)[1]["shown0"] == f"{text} (drawn at the ceiling)"


def test_finite_numbers_have_no_marks_off_the_scale():
    """Where all numbers are finite and above 0, there is no triangle."""
    chart = depth_chart("gradient", [("network", profile(gradient=(0.1, 1.0)))])

    assert "triangle" not in json.dumps(spec(chart)["layer"])


def test_unknown_numbers_are_gaps():
    """None is a row without a value, which breaks the line, and the tooltip says that it is unknown."""
    chart = depth_chart("gradient", [("network", profile(gradient=(0.1, None, 1.0)))])

    assert [row["value"] for row in rows(chart, "network")] == [0.1, None, 1.0]
    assert readouts(chart)[1]["shown0"] == "unknown"


def test_the_forecast_is_a_band_behind_the_dots():
    """The forecast's band is the first thing drawn, from its low to its high numbers."""
    chart = depth_chart("gradient", [("network", profile(gradient=(0.1, 1.0)))], forecast((0.05, 0.9), (0.2, 1.1)))
    styles = [layer["mark"].get("style") for layer in spec(chart)["layer"]]

    assert styles.index("forecast-band") < styles.index("forecast-line") < styles.index("dot")
    assert [(row["low"], row["high"]) for row in rows(chart, FORECAST_LABEL)] == [(0.05, 0.2), (0.9, 1.1)]
    assert readouts(chart)[0]["shown1"] == "0.1 (0.05 to 0.2)"


def test_a_forecast_without_the_column_leaves_no_trace():
    """A forecast that does not know the column adds neither band nor legend."""
    chart = depth_chart("rank", [("network", profile(rank=(0.1, 1.0)))], forecast((0.05, 0.9), (0.2, 1.1)))

    assert FORECAST_LABEL not in json.dumps(spec(chart))


def test_a_band_that_reaches_zero_ends_at_the_floor():
    """A band whose low end underflows is cut at the floor of the axis and not left out."""
    chart = depth_chart("gradient", [("network", profile(gradient=(0.1, 1.0)))], forecast((0.0, 0.9), (0.2, 1.1)))

    assert rows(chart, FORECAST_LABEL)[0]["low"] > 0


def test_nothing_measured_is_said_in_words():
    """A column that nobody measured is an empty chart that says so, and not an error."""
    chart = depth_chart("rank", [("network", profile(gradient=(0.1, 1.0)))])

    assert "not measured here" in vl_convert.vegalite_to_svg(spec(chart))
    assert "not measured" in spec(chart)["description"]


def test_networks_of_different_depth_share_the_axis():
    """The axis is as long as the deepest network, and the other has no value beyond its end."""
    chart = depth_chart("gradient", [("short", profile(gradient=(0.1, 1.0))), ("long", profile(gradient=(0.1, 0.5, 1.0)))])

    assert readouts(chart)[2]["shown0"] == "–"
    assert readouts(chart)[2]["sentence"] == "block 3 (blocks.2): long 1"


def test_the_description_says_where_it_starts_and_ends():
    """Those who cannot see the chart are told its ends in a sentence."""
    chart = depth_chart("gradient", [("tanh", profile(gradient=(1e-12, 1.0)))])

    assert "tanh goes from 10⁻¹² at block 1 to 1 at block 2" in spec(chart)["description"]


def test_a_page_may_mark_a_depth_from_outside():
    """The chart marks the depth under the pointer, or else the one that a page sets."""
    params = {param["name"]: param for param in spec(depth_chart("rank", [("a", profile(rank=(0.1, 1.0)))]))["params"]}

    assert params["marked_depth"]["value"] is None
    assert "marked_depth" in params["hover_depth"]["expr"]


def test_an_unknown_column_is_named():
    """A column that does not exist is an error with the nearest right name."""
    with pytest.raises(FathometerError, match='Did you mean "gradient"'):
        depth_chart("gradeint", [])


def test_the_forecast_of_one_block_is_seen():
    """An area and a line need two points: one block gets a bar and a tick of the same look."""
    one = depth_chart("gradient", [("network", profile(gradient=(1.0,)))], forecast((0.5,), (2.0,)))
    two = depth_chart("gradient", [("network", profile(gradient=(1.0, 1.0)))], forecast((0.5, 0.5), (2.0, 2.0)))
    kinds = [
        [layer["mark"]["type"] for layer in spec(chart)["layer"] if "forecast" in layer["mark"].get("style", "")]
        for chart in (one, two)
    ]

    assert kinds == [["rule", "tick"], ["area", "line"]]
