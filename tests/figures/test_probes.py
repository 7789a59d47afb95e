"""Probe accuracy by depth stands over the line of guessing."""

import vl_convert

from fathometer.figures import probe_chart, spec


def test_probes_are_drawn_over_guessing():
    """Each network has its dots, in percent, over a labelled line of chance."""
    chart = probe_chart([("a", [0.2, 0.9]), ("b", [0.5, None])], 0.1)
    picture = vl_convert.vegalite_to_svg(spec(chart))

    assert "guessing: 10%" in picture
    assert picture.count('aria-roledescription="point"') == 3
    assert [row["shown1"] for row in spec(chart)["datasets"]["readout"]] == ["50.0%", "unknown"]


def test_depth_zero_is_the_input():
    """Where the input itself was probed, the axis starts at 0 and names it."""
    readout = spec(probe_chart([("a", [0.2, 0.9])], 0.1, first=0))["datasets"]["readout"]

    assert [(row["depth"], row["block"]) for row in readout] == [(0, "0 (input)"), (1, "1")]


def test_blocks_may_be_named():
    """The names of blocks appear in the tooltips."""
    readout = spec(probe_chart([("a", [0.2])], 0.1, blocks=["stem"]))["datasets"]["readout"]

    assert readout[0]["block"] == "1 (stem)"
