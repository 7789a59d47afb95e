"""A chart's specification is small and keeps what it shows."""

import json
import re

import vl_convert

from fathometer.figures import loss_chart, spec


def test_shared_data_is_written_once():
    """The band and the line of a curve share one data set, which holds all rows."""
    table = spec(loss_chart([("run", [[1.0 / step for step in range(1, 101)]])]))

    assert [len(rows) for rows in table["datasets"].values()] == [100]
    assert json.dumps(table).count('"step": ') == 100


def test_numbers_keep_six_digits():
    """Numbers are rounded to what no screen can tell apart, also tiny ones."""
    table = spec(loss_chart([("run", [[1.23456789e-12]])]))

    assert next(iter(table["datasets"].values()))[0]["value"] == 1.23457e-12


def test_the_page_ink_names_no_colour():
    """In the ink of a page, words and axes follow the page's own colours."""
    config = json.dumps(spec(loss_chart([("run", [[1.0]])]), "page", "container")["config"])

    assert "var(--text)" in config
    assert "#" not in config


def test_a_wrapped_legend_leaves_the_title_in_the_picture():
    """In a narrow picture with long names the legend wraps, and the title stays below the upper edge."""
    runs = [(f"a rather long name of network number {number}", [[1.0, 0.5]]) for number in range(4)]
    heights = []
    for width in (1200, 220):
        picture = vl_convert.vegalite_to_svg(spec(loss_chart(runs), width=width))
        top = float(re.search(r'role-title"><g transform="translate\([-\d.]+,([-\d.]+)\)', picture)[1])
        origin = float(re.search(r'transform="translate\([-\d.]+,([-\d.]+)\)"><g', picture)[1])
        heights.append(float(re.search(r' height="([\d.]+)"', picture)[1]))
        assert origin + top > 0

    assert heights[1] > heights[0] + 30  # four rows of labels instead of one
