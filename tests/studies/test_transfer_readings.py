"""What transfer and the scaling law say of rows that were planted: their claims where they hold, and only there."""

from math import inf, log2
from typing import Any

import numpy as np
import pytest

from fathometer.report import render
from fathometer.scaling import num_parameters
from fathometer.scaling.best_rate import Sweep, best_rate, sweep_of, transferred
from fathometer.studies import STUDIES, Reading
from fathometer.studies.page import study_page
from fathometer.studies.question import Cell
from fathometer.studies.scaling_law import spec_of
from fathometer.studies.transfer import effective

RATES = np.arange(-10.0, -3.9, 0.5)


def read(name: str, value: Any, **options: Any) -> Reading:
    """Return what a study reads in rows where `value(cell)` was measured of each cell; its page can be made, too."""
    question = STUDIES[name]
    chosen = {**question.options, **options}
    rows = [{**cell, "cpu_seconds": 0.5, **value(cell)} for group in question.cells(chosen) for cell in group]
    reading = question.read(chosen, rows)
    assert reading.answer in render(study_page(question, reading, "fathometer study", rows))
    return reading


def sweep(best: float, seeds: int = 3, noise: float = 0.0) -> Sweep:
    """Return a sweep whose losses are a parabola about its best log2 rate."""
    scatter = noise * np.random.default_rng(int(8 * abs(best))).standard_normal((seeds, len(RATES)))
    return Sweep(RATES, 1 + 0.05 * (RATES - best) ** 2 + scatter)


@pytest.mark.parametrize("best", [-7.0, -6.8, -5.31])
def test_the_best_rate_is_found_between_those_that_were_tried(best: float) -> None:
    """Without noise exactly; with it inside an interval that is about as wide as the scatter makes it."""
    assert best_rate(sweep(best)) == pytest.approx((best, best, best), abs=1e-9)
    middle, low, high = best_rate(sweep(best, noise=0.01))
    assert low < best < high
    assert high - low < 1
    assert low <= middle <= high


def test_drift_and_regret_are_those_of_the_parabola() -> None:
    """A best rate two octaves lower costs 0.05 · 2² of a least loss of 1; the base itself drifts by nothing."""
    base = sweep(-6.0)
    found = transferred(base, sweep(-8.0))

    assert found.drift == pytest.approx((-2, -2, -2), abs=1e-9)
    assert found.regret[0] == pytest.approx(0.2, abs=1e-6)
    assert transferred(base, base).drift == (0, 0, 0)
    assert not found.at_edge
    assert transferred(base, sweep(-13.0)).at_edge


def test_what_diverged_counts_as_guessing() -> None:
    """An infinite or missing loss is that of guessing, and no loss is above it."""
    rows = [{"rate": rate, "seed": 0, "loss": loss} for rate, loss in ((0.01, 1.0), (0.02, inf), (0.04, None), (0.08, 7.0))]

    assert sweep_of(rows, "loss", 1.79).losses.tolist() == [[1.0, 1.79, 1.79, 1.79]]


def moving(by_depth: float, by_width: float, arm: str) -> Any:
    """Return what measures a best rate of 2^-6 at the base that moves so many octaves at each doubling under one arm."""

    def value(cell: Cell) -> dict[str, Any]:
        doublings = log2(cell["depth"] / 4) * by_depth + log2(cell["width"] / 32) * by_width
        best = -6.0 - (doublings if cell["arm"] == arm else 0.3 * (cell["depth"] > 4))
        loss = 1 + 0.05 * (log2(cell["rate"]) - best) ** 2 + 0.001 * cell["seed"]
        return {"held_out_loss": min(1.7, loss), "train_loss": loss, "held_out_accuracy": 0.5, "stopped_at": None}

    return value


def test_transfer_is_shown_where_completep_stays_and_the_standard_drifts() -> None:
    """Shown: at most half an octave under CompleteP, more under the standard; not so where CompleteP drifts, or neither does."""
    shown, lost, idle = (
        read("transfer", moving(*ways)) for ways in ((1, 0.5, "standard"), (1, 0.5, "completep"), (0, 0, "standard"))
    )

    assert (shown.answer, lost.answer, idle.answer) == ("shown", "not shown", "not shown")
    assert "standard drifts by up to -4.0 octaves" in shown.sentence
    assert "completep drifts by up to -0.3 octaves" in shown.sentence
    assert any("completep: 8 times the depth alone moves the best rate by -0.30" in note for note in shown.notes)
    assert len(shown.table) == 4 * 12


def test_parametrizations_that_are_one_are_measured_once() -> None:
    """At the base all four are one network, at its depth three are μP, at its width μP is the standard one."""
    options = STUDIES["transfer"].options
    shapes = {
        (depth, width): {effective(arm, depth, width, options) for arm in options["arms"]}
        for depth in (4, 8)
        for width in (32, 64)
    }

    assert shapes == {
        (4, 32): {"standard"},
        (4, 64): {"standard", "mup"},
        (8, 32): {"standard", "depth-mup", "completep"},
        (8, 64): {"standard", "mup", "depth-mup", "completep"},
    }
    groups = STUDIES["transfer"].cells(options)
    assert len(groups) == len({(g[0]["arm"], g[0]["depth"], g[0]["width"]) for g in groups}) == 38


def ladder(surprise: float) -> Any:
    """Return what measures a planted law, and the larger network a share above it."""

    def value(cell: Cell) -> dict[str, Any]:
        size = num_parameters(spec_of(cell))
        loss = 1.2 + 30 / size**0.4 + 40 / cell["tokens"] ** 0.4
        loss *= 1 + 1e-3 * ((size + cell["tokens"]) % 7 - 3) + (surprise if cell["kind"] == "held out" else 0.0)
        return {"held_out_loss": loss, "train_loss": loss, "held_out_accuracy": None, "parameters": size, "stopped_at": None}

    return value


def test_a_law_that_foretells_is_told_from_one_that_does_not() -> None:
    """Shown where the larger network comes out inside the interval; where it does not, the page says on which side and why."""
    shown, above, below = (read("scaling", ladder(surprise), starts=40, resamples=40) for surprise in (0.0, 0.3, -0.3))

    assert shown.answer in ("shown", "shown in part")
    assert "inside the interval" in shown.sentence
    assert (above.answer, below.answer) == ("not shown", "not shown")
    assert any("loses more than the law has it" in note for note in above.notes)
    assert any("loses less than the law has it" in note for note in below.notes)
