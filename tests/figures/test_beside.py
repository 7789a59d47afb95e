"""Charts stand side by side in one picture, each with its own axes."""

import pytest
import vl_convert

from fathometer.depth_profile import DepthProfile
from fathometer.figures import beside, depth_chart, loss_chart, probe_chart, save, spec

DEPTH = depth_chart("gradient", [("sick", DepthProfile("measured", ("1", "2"), {"gradient": (1e-9, 1.0)}))])
CHARTS = {
    "Gradient coming back": DEPTH,
    "Training loss": loss_chart([("a", [[2.0, 1.0]])]),
    "What each layer knows": probe_chart([("a", [0.5, 0.9])], 0.1),
}


@pytest.mark.parametrize("count", [2, 3])
def test_each_chart_keeps_its_title_and_axis(count):
    """Two or three charts, also two that can be pointed at, are drawn in one picture with their titles and axes."""
    titles = list(CHARTS)[:count]
    picture = vl_convert.vegalite_to_svg(spec(beside(*(CHARTS[title] for title in titles))))

    assert all(title in picture for title in titles)
    assert picture.count(">depth (block)<") == count - 1
    assert "10⁻⁸" in picture


def test_the_charts_themselves_are_left_as_they_were():
    """A chart that was put beside another keeps its own look."""
    before = spec(DEPTH)
    beside(DEPTH, CHARTS["Training loss"])

    assert spec(DEPTH) == before
    assert "config" in DEPTH.to_dict()


def test_a_row_is_saved_in_any_ink(tmp_path):
    """A row of charts is saved like one chart, light and dark."""
    row = beside(DEPTH, CHARTS["Training loss"])
    save(row, tmp_path / "row.svg", ink="dark")
    save(row, tmp_path / "row.png")

    assert "#14181D" in (tmp_path / "row.svg").read_text()
