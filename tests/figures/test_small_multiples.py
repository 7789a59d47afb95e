"""Columns of small charts in one picture."""

import vl_convert

from fathometer.depth_profile import DepthProfile
from fathometer.figures import depth_chart, save, small_multiples, spec


def columns(names):
    """Return one column with two charts for each name."""
    profile = DepthProfile("measured", ("1", "2"), {"signal": (1.0, 2.0), "gradient": (3.0, 1.0)})
    return [(name, "a network", [depth_chart(column, [(name, profile)]) for column in ("signal", "gradient")]) for name in names]


def test_every_column_has_its_title_and_the_first_names_the_rows():
    """Titles, one name for each row and one axis title for each column are in the picture."""
    chart = small_multiples(columns(["one", "two", "three"]), "All of them", "dots: measured")
    picture = vl_convert.vegalite_to_svg(spec(chart))

    for text in ("All of them", "dots: measured", "one", "two", "three"):
        assert f">{text}<" in picture
    assert picture.count(">Signal going forward<") == picture.count(">Gradient coming back<") == 1
    assert picture.count(">depth (block)<") == 3


def test_the_charts_themselves_are_left_as_they_were():
    """A chart that went into the picture keeps its own title and size."""
    (column,) = columns(["one"])
    before = spec(column[2][0])
    small_multiples([column], "title", "subtitle")

    assert spec(column[2][0]) == before


def test_the_picture_is_saved(tmp_path):
    """It is written like any chart, in dark ink too."""
    save(small_multiples(columns(["one", "two"]), "title", ["two", "lines"]), tmp_path / "many.svg", ink="dark")

    assert "#14181D" in (tmp_path / "many.svg").read_text()
