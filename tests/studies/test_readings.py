"""What each study says of rows that were planted: its claim where it holds, and its absence where it does not."""

from math import inf
from typing import Any

import pytest

from fathometer.report import render
from fathometer.studies import STUDIES, Reading
from fathometer.studies.page import study_page
from fathometer.studies.question import Cell
from fathometer.studies.trainability import scale


def planted(name: str, value: Any, **options: Any) -> Reading:
    """Return what a study reads in rows where `value(cell)` was measured of each cell; its page can be made, too."""
    question = STUDIES[name]
    chosen = {**question.options, **options}
    rows = [{**cell, "cpu_seconds": 0.5, **value(cell)} for group in question.cells(chosen) for cell in group]
    reading = question.read(chosen, rows)
    assert reading.sentence in render(study_page(question, reading, "fathometer study", rows)).replace("&lt;", "<")
    return reading


def trained(loss: float, accuracy: float | None = None) -> dict[str, Any]:
    """Return what is measured of a trained network."""
    return {"train_loss": loss, "held_out_loss": loss, "held_out_accuracy": accuracy, "stopped_at": None, "width": 9}


SMALL = {"depths": (5, 20, 60), "weight_variances": (0.8, 1.3, 1.76, 2.5, 3.5), "rates": (0.01,)}


def test_trainability_is_shown_where_depth_ends_as_theory_says() -> None:
    """Networks that train up to a share of theory's depth, and none beyond, show it; networks that all train do not."""
    options = {**STUDIES["trainability"].options, **SMALL}

    def obeys(cell: Cell) -> dict[str, Any]:
        is_within = cell["depth"] < 4 * scale(options, cell["weight_variance"])
        return trained(0.1 if is_within else 2.3, 0.9 if is_within else 0.1)

    assert planted("trainability", obeys, **SMALL).answer == "shown"
    assert planted("trainability", lambda cell: trained(0.1, 0.9), **SMALL).answer == "not shown"
    assert planted("trainability", lambda cell: trained(2.3, 0.1), **SMALL).answer == "not shown"


@pytest.mark.parametrize(
    ("free", "clipped", "vanishing", "answer"),
    [(inf, 0.1, 2.3, "shown"), (0.1, 0.1, 2.3, "not shown"), (inf, inf, 2.3, "not shown"), (inf, 0.1, 0.1, "shown in part")],
    ids=["it tames", "nothing explodes", "it does not help", "it wakes what vanished"],
)
def test_clipping_is_shown_where_it_alone_makes_the_difference(
    free: float, clipped: float, vanishing: float, answer: str
) -> None:
    """Shown: unclipped seeds diverge, clipped ones train, and none that vanishes trains, with clipping or without."""

    def value(cell: Cell) -> dict[str, Any]:
        if cell["network"] == "vanishing":
            return trained(vanishing, 0.1)
        return trained(free if cell["clip"] is None else clipped, 0.9)

    assert planted("clipping", value).answer == answer


def test_one_seed_in_five_that_does_not_diverge_is_borne_and_two_are_not() -> None:
    """At least four of five unclipped seeds have to diverge."""

    def with_survivors(count: int) -> str:
        def value(cell: Cell) -> dict[str, Any]:
            if cell["network"] == "vanishing":
                return trained(2.3, 0.1)
            return trained(inf if cell["clip"] is None and cell["seed"] >= count else 0.1, 0.9)

        return planted("clipping", value).answer

    assert [with_survivors(count) for count in (0, 1, 2)] == ["shown", "shown", "not shown"]


def test_degradation_that_is_absent_is_said_to_be() -> None:
    """Plain networks that fit as well at every depth show nothing; deep ones that fit worse than residual ones do."""
    profile = {"verdict": "healthy", "cause": None, "profile": _PROFILE}

    def value(cell: Cell, is_worse: bool) -> dict[str, Any]:
        if cell["kind"] == "profile":
            return profile
        is_deep = cell["depth"] >= 56
        return trained(1.4 if is_worse and is_deep and cell["arm"] == "plain" else 0.1, 0.9)

    shown, absent = (planted("degradation", lambda cell, is_worse=is_worse: value(cell, is_worse)) for is_worse in (True, False))

    assert shown.answer == "shown"
    assert absent.answer == "not shown"
    assert "absent at this scale" in absent.sentence


def test_bands_that_meet_are_no_effect() -> None:
    """A deep plain network that is worse in the middle, but not with every seed, is not said to be worse."""

    def value(cell: Cell) -> dict[str, Any]:
        if cell["kind"] == "profile":
            return {"verdict": "healthy", "cause": "exploding_gradient", "profile": _PROFILE}
        is_bad = cell["depth"] >= 56 and cell["arm"] == "plain" and cell["seed"] > 0
        return trained(1.4 if is_bad else 0.1, 0.9)

    assert planted("degradation", value).answer == "not shown"


def test_depth_or_width_counts_the_data_that_shallow_needs() -> None:
    """An error that halves at 2 P* with three layers and at 8 P* with one is four times the data; equal errors are not."""

    def value(cell: Cell, factor: float, gain: float = 0.0) -> dict[str, Any]:
        if cell["kind"] == "data":
            needs = 2.0 * factor if cell["depth"] < 3 else 2.0
            return trained(0.5, 1 - 5 / 6 * min(1.0, 0.5 * needs / cell["data"]))
        more = {"curve": [[10.0, 1.0], [400.0, 0.5]], "step_seconds": 0.01 * cell["depth"]}
        return {**trained(0.5, 0.9 + (gain if cell["depth"] > 1 else 0.0)), **more}

    four, one, bought = (
        planted("depth-or-width", lambda cell, given=given: value(cell, *given)) for given in ((4.0,), (1.0,), (4.0, 0.05))
    )

    assert four.answer == "shown"
    assert "4.0 times the data" in four.sentence
    assert "depth buys nothing" in four.sentence
    assert one.answer == "shown in part"
    assert bought.answer == "shown in part"
    assert "depth buys 5.0%" in bought.sentence


def test_the_power_of_depth_says_where_depth_loses() -> None:
    """A task on which the shallow network is better is named; a construction that is not exact shows nothing."""

    def value(cell: Cell, is_exact: bool) -> dict[str, Any]:
        if cell["kind"] == "construction":
            sizes = {"deep_units": 2 * cell["folds"], "deep_parameters": 7, "shallow_units": 2 ** cell["folds"]}
            return {"pieces": 2 ** cell["folds"] - (not is_exact), "largest_error": 0.0, "shallow_parameters": 9, **sizes}
        if cell["kind"] == "start":
            return {"pieces": 20}
        return trained(0.1, 0.9 if (cell["depth"] > 1) != (cell["task"] == "parity") else 0.6)

    exact, broken = (planted("power-of-depth", lambda cell, good=good: value(cell, good)) for good in (True, False))

    assert exact.answer == "shown in part"
    assert any("parity" in note and "depth loses" in note for note in exact.notes)
    assert broken.answer == "not shown"


def test_the_stream_is_shown_where_it_alone_trains() -> None:
    """Networks that train with an open stream and not without show it; networks that all train do not."""

    def value(cell: Cell, is_needed: bool) -> dict[str, Any]:
        if cell["kind"] == "paths":
            return {"mean_length": 3.0, "effective_length": 5, "size": [1.0, 2.0, 1.0]}
        return trained(2.3 if is_needed and cell["residual"] in ("none", "post-norm") else 0.1, 0.9)

    needed, idle = (planted("residual", lambda cell, is_needed=is_needed: value(cell, is_needed)) for is_needed in (True, False))

    assert needed.answer == "shown"
    assert idle.answer == "not shown"


_PROFILE = {
    "source": "measured",
    "points": ["1", "2"],
    "values": {"gradient": [2.0, 1.0], "correlation": [0.2, 0.9]},
    "low": {},
    "high": {},
    "facts": {},
}
