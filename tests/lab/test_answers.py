"""What theory answers while a slider moves."""

import json
from math import log10

import pytest

from fathometer.depth_profile import DepthProfile
from fathometer.errors import SpecError
from fathometer.lab.answers import EDGE, check_cost, drawn, evenly, scaled, theory, theory_words
from fathometer.lab.presets import BEGINNINGS
from fathometer.lab.setting import Setting, spec_of
from fathometer.theory import forecast


@pytest.mark.parametrize("name", BEGINNINGS)
def test_the_answer_is_the_forecast(name: str) -> None:
    """The numbers that the page draws are those of `fm.forecast`, as logarithms."""
    setting = BEGINNINGS[name].setting
    answer, profile = theory(setting), forecast(spec_of(setting), correlation=0.47, num_inputs=64)

    assert answer["at"][0] == 1
    assert answer["at"][-1] == setting.depth
    for column in ("signal", "gradient"):
        expected = [log10(profile.values[column][at - 1] or 0.0) for at in answer["at"]]
        assert answer["values"][column] == pytest.approx(expected, abs=1e-3)  # rounded to a thousandth


def test_fifty_plain_layers_are_foretold_to_fail_and_residual_ones_are_not() -> None:
    """The sentence names the loss of the gradient where there is one, and not where there is none."""
    assert "fades to 10⁻²⁴" in theory(BEGINNINGS["50"].setting)["words"]
    assert "fades" not in theory(BEGINNINGS["96"].setting)["words"]
    assert "no depth" in theory(BEGINNINGS["1"].setting)["words"]


@pytest.mark.parametrize("setting", [Setting(depth=1000), Setting(depth=1000, activation="relu", init="he", gain=4.0)])
def test_beyond_all_measure_is_still_json(setting: Setting) -> None:
    """A thousand layers that vanish or explode beyond what a number can hold are drawn at the edge, in strict JSON."""
    answer = theory(setting)

    text = json.dumps(answer, allow_nan=False)
    assert len(text) < 40_000
    assert abs(answer["values"]["gradient"][0]) == EDGE
    assert "10⁻¹⁵⁰" in answer["words"] or "10¹⁵⁰" in answer["words"]


def test_few_points_are_drawn_of_many_layers() -> None:
    """A deep profile is drawn at evenly spaced layers, the first and the last among them; a shallow one in full."""
    places = evenly(1000, 240)

    assert (places[0], places[-1], len(places)) == (0, 999, 240)
    assert len(set(places)) == 240
    assert evenly(7, 240) == list(range(7))


def test_what_is_unknown_is_null() -> None:
    """NaN and None become null, zero the lower edge, infinity the upper."""
    series = (None, float("nan"), 0.0, float("inf"), 1.0)

    assert scaled("gradient", series, range(5)) == [None, None, -EDGE, EDGE, 0.0]
    assert scaled("correlation", series, range(5)) == [None, None, 0.0, None, 1.0]


def test_a_profile_without_a_column_is_drawn_without_it() -> None:
    """Only columns that are there are drawn, and only bands that have both edges."""
    table = drawn(DepthProfile("measured", ("a", "b"), {"signal": (1.0, 10.0)}))

    assert table["values"] == {"signal": [0.0, 1.0]}
    assert table["bands"] == {}
    assert theory_words(DepthProfile("measured", ("a", "b"), {"signal": (1.0, 10.0)})).startswith("One layer")


def test_a_run_that_takes_hours_is_refused_with_a_way_out() -> None:
    """What would take far longer than a visitor waits is refused before it starts, and says what would do."""
    check_cost(Setting())
    with pytest.raises(SpecError, match="steps = "):
        check_cost(Setting(depth=100, width=512, steps=2000))
