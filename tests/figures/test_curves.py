"""Training curves show the median, the range and the line to beat."""

import math

import pytest
import vl_convert

from fathometer.figures import loss_chart, spec
from fathometer.figures.curves import MOST_POINTS, smooth


def rows(chart, run):
    """Return what is drawn of one run."""
    return [row for data in spec(chart)["datasets"].values() for row in data if row.get("run") == run]


def test_smoothing_keeps_a_constant_and_stops_at_nan():
    """The running mean of a constant is that constant from the first step on; nothing is drawn past a broken loss."""
    assert smooth([3.0] * 5 + [math.nan, 3.0]) == pytest.approx([3.0] * 5)


def test_smoothing_equals_a_plain_weighted_mean():
    """The running mean equals the mean with weights that shrink geometrically into the past."""
    losses = [2.0, 5.0, 1.0, 4.0]
    weights = [0.9 ** (3 - place) for place in range(4)]
    expected = sum(weight * loss for weight, loss in zip(weights, losses, strict=True)) / sum(weights)

    assert smooth(losses)[-1] == pytest.approx(expected)


def test_the_band_is_the_range_over_seeds():
    """At every step the line is the median over seeds, and the band goes from the lowest to the highest."""
    chart = loss_chart([("run", [[1.0, 1.0], [2.0, 2.0], [9.0, 9.0]])])

    assert [(row["low"], row["value"], row["high"]) for row in rows(chart, "run")] == [(1.0, 2.0, 9.0)] * 2
    assert "3 seeds" in spec(chart)["title"]["subtitle"]


def test_a_seed_that_breaks_leaves_the_others():
    """A seed counts as long as its loss is finite."""
    chart = loss_chart([("run", [[1.0, math.inf, 1.0], [3.0, 3.0, 3.0]])])

    assert [row["value"] for row in rows(chart, "run")] == [2.0, 3.0, 3.0]


@pytest.mark.parametrize("steps", [1, MOST_POINTS, 10_000])
def test_long_runs_are_thinned_to_what_can_be_seen(steps):
    """However long the run, the first and the last step are drawn, and not many more points than fit."""
    drawn = [row["step"] for row in rows(loss_chart([("run", [[1.0] * steps])]), "run")]

    assert (drawn[0], drawn[-1]) == (1, steps)
    assert len(drawn) <= MOST_POINTS + 1


@pytest.mark.parametrize("log", [False, True], ids=["linear", "log"])
def test_the_line_to_beat_is_drawn_and_named(log):
    """The loss of the best predictor that sees no input is a line with a label; without it there is none."""
    runs = [("sick", [[2.31, 2.30]]), ("mended", [[2.31, 0.02]])]

    assert "knows no input: 2.3" in vl_convert.vegalite_to_svg(spec(loss_chart(runs, reference=math.log(10), log=log)))
    assert "knows no input" not in vl_convert.vegalite_to_svg(spec(loss_chart(runs, log=log)))


def test_no_steps_are_no_error():
    """A run that broke at its first step is an empty chart that says so."""
    assert "no steps" in spec(loss_chart([("run", [[math.nan]])]))["description"]
