"""A law is fitted to what can be fitted, and says so of what cannot."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from fathometer.errors import DataError, SpecError
from fathometer.records import Asked, Record
from fathometer.scaling import fit_law, leave_out, num_parameters
from fathometer.scaling.descent import Points, descend, polish
from fathometer.scaling.fit import draw_starts
from fathometer.scaling.forms import FORMS, design
from fathometer.spec import Transformer, spec_to_dict

SIZES = [(n, d) for n in (1e7, 1e8, 1e9) for d in (1e9, 1e10, 1e11)]


def rows(**changes: object) -> list[dict[str, object]]:
    """Return nine points of a law, the fifth with something changed."""
    points: list[dict[str, object]] = [{"parameters": n, "tokens": d, "loss": 2 + 300 / n**0.3 + 400 / d**0.3} for n, d in SIZES]
    points[4] |= changes
    return points


def columns(form: str, count: int = 30) -> dict[str, np.ndarray]:
    """Return columns for a form, and losses near 3."""
    generator = np.random.default_rng(0)
    return {name: np.exp(generator.normal(0, 1, count)) for name in FORMS[form].columns}


@pytest.mark.parametrize("form", FORMS)
def test_slopes_are_exact(form: str) -> None:
    """The slopes of every form are those of finite differences."""
    plan, theta = design(FORMS[form], columns(form, 5)), draw_starts(FORMS[form], 1.0, 1, np.random.default_rng(1))
    logs, shares = plan.log_loss(theta)
    slopes = plan.slopes(theta, logs, shares)[0]

    for point in range(5):
        numeric = approx_fprime(theta[0], lambda at, point=point: plan.log_loss(at[None])[0][0, point], 1e-7)
        assert slopes[point] == pytest.approx(numeric, abs=1e-5)  # the error of a one-sided difference


@pytest.mark.parametrize("form", FORMS)
def test_many_fits_at_once_are_as_good_as_one_polished(form: str) -> None:
    """The descent side by side ends where scipy's does from there, to a thousandth of the objective, and never rises."""
    table, generator = columns(form), np.random.default_rng(2)
    plan = design(FORMS[form], table)
    truth = draw_starts(FORMS[form], 1.0, 1, generator)
    logs = plan.log_loss(truth)[0] + 0.01 * generator.standard_normal((1, 30))
    points = Points(plan, logs, 1e-3, np.ones((1, 30)))
    starts = draw_starts(FORMS[form], 1.0, 60, generator)
    before = points.at(starts)[0]
    rested, after = descend(points, starts, steps=200)

    assert (after <= before).all()
    assert polish(points, rested[after.argmin()])[1] == pytest.approx(after.min(), rel=1e-3)


def test_the_objective_is_a_sum_of_hubers() -> None:
    """r²/2 within δ, δ(|r| - δ/2) beyond it, summed over points and not their mean."""
    points = Points(design(FORMS["kaplan"], columns("kaplan", 3)), np.zeros((1, 3)), 0.1, np.ones((1, 3)))

    assert points.objective(np.array([[0.05, -0.1, 1.0]]))[0] == pytest.approx(0.00125 + 0.005 + 0.095)


def test_kaplans_constants_come_out_as_he_writes_them() -> None:
    """A planted L = ((Nc/N)^(α_N/α_D) + Dc/D)^α_D is found in those four numbers."""
    points = [{"parameters": n, "tokens": d, "loss": ((6.4e13 / n) ** (0.076 / 0.103) + 1.8e13 / d) ** 0.103} for n, d in SIZES]
    found = {symbol: number.value for symbol, number in fit_law(points, "kaplan", resamples=20).numbers.items()}

    assert found == pytest.approx({"Nc": 6.4e13, "Dc": 1.8e13, "α_N": 0.076, "α_D": 0.103}, rel=1e-3)


def test_points_may_come_in_any_shape() -> None:
    """Rows, columns, a data frame and other names give one law, the same each time."""
    table = {name: [row[name] for row in rows()] for name in ("parameters", "tokens", "loss")}
    renamed = [{"N": row["parameters"], "tokens": row["tokens"], "loss": row["loss"]} for row in rows()]
    wishes = {"starts": 30, "resamples": 20}
    one = fit_law(rows(), **wishes)

    assert fit_law(table, **wishes).theta == one.theta
    assert fit_law(renamed, columns={"parameters": "N"}, **wishes).theta == one.theta
    pandas = pytest.importorskip("pandas")
    assert fit_law(pandas.DataFrame(table), **wishes).theta == one.theta


def test_records_of_runs_are_points() -> None:
    """The record of a trained transformer counts its parameters, and its tokens as samples times context."""
    records = []
    for depth in (1, 2, 4):
        for steps in (10, 100, 1000):
            spec = Transformer(depth=depth, width=32 * depth, vocabulary=64, context=16)
            size, tokens = num_parameters(spec), steps * 8 * 16
            loss = 1 + 100 / size**0.5 + 90 / tokens**0.5
            losses = (loss,) * steps
            records.append(Record(Asked(steps, 8), "finished", losses, held_out_loss=loss, network=spec_to_dict(spec)))
    law = fit_law(records, starts=60, resamples=20)

    assert {symbol: number.value for symbol, number in law.numbers.items()} == pytest.approx(
        {"E": 1, "A": 100, "B": 90, "α": 0.5, "β": 0.5}, rel=0.02
    )
    with pytest.raises(DataError, match="`loss` of point 0 is nan"):
        fit_law([replace(records[0], status="stopped: loss is not finite"), *records[1:]])


@pytest.mark.parametrize(
    ("points", "form", "words"),
    [
        (rows(loss=float("nan")), "parameters-tokens", "`loss` of point 4 is nan"),
        (rows(loss=float("inf")), "parameters-tokens", "`loss` of point 4 is inf"),
        (rows(tokens=-5.0), "parameters-tokens", "`tokens` of point 4 is -5"),
        (rows(parameters=0), "parameters-tokens", "`parameters` of point 4 is 0"),
        (rows(loss="three"), "parameters-tokens", "`loss` of point 4 is 'three'"),
        (rows()[:5], "parameters-tokens", "5 points for a law with 5 unknowns"),
        ([], "parameters-tokens", "0 points for a law with 5 unknowns"),
        ([{**row, "tokens": 1e9} for row in rows()], "parameters-tokens", "`tokens` is 1e+09 at every point"),
        (rows(), "width-depth-tokens", "The points have no `width`"),
        (rows(), "parameter-tokens", 'Did you mean "parameters-tokens"?'),
        ("losses", "parameters-tokens", "The points are a str"),
        ([1, 2, 3], "parameters-tokens", "A point is a int"),
        ({"parameters": [1], "tokens": [1, 2], "loss": [1]}, "parameters-tokens", "The columns have [1, 2] points"),
    ],
)
def test_what_cannot_be_fitted_is_an_error(points: object, form: str, words: str) -> None:
    """NaN and infinite losses, negative tokens, too few points, constant and missing columns are each named."""
    with pytest.raises((DataError, SpecError), match=re.escape(words)):
        fit_law(points, form)


def test_nonsense_wishes_are_errors() -> None:
    """δ of 0, no start, too few resamples, groups that are one, and a column that the law does not have."""
    for wishes in ({"delta": 0.0}, {"starts": 0}, {"resamples": 3}):
        with pytest.raises(SpecError, match="δ is above 0"):
            fit_law(rows(), **wishes)
    with pytest.raises(DataError, match="tells 1 runs apart"):
        fit_law([{**row, "run": "a"} for row in rows()], groups="run")
    with pytest.raises(DataError, match="The points have no `run`"):
        fit_law(rows(), groups="run")
    with pytest.raises(DataError, match='"width" is no column'):
        leave_out(rows(), by="width")


def test_points_of_one_run_stay_together_when_some_are_left_out() -> None:
    """`groups` reaches the fit: whole runs are resampled there, and a column that is not there is still named."""
    noisy = [
        {**row, "loss": float(row["loss"]) * (1 + 0.01 * (-1) ** place), "run": place % 4} for place, row in enumerate(rows())
    ]
    wishes = {"largest": 1, "starts": 20, "resamples": 20}
    together, apart = (leave_out(noisy, groups=groups, **wishes) for groups in ("run", None))

    assert [one.sizes for one in together] == [one.sizes for one in apart]
    assert together[0].predicted.value == apart[0].predicted.value
    assert together[0].predicted.low != apart[0].predicted.low
    with pytest.raises(DataError, match="The points have no `run`"):
        leave_out(rows(), groups="run")


def test_predictions_ask_for_the_laws_own_sizes() -> None:
    """A size that is missing, unknown or not positive is an error; an observed loss is less sure than the law."""
    noisy = [{**row, "loss": float(row["loss"]) * (1 + 0.01 * (-1) ** place)} for place, row in enumerate(rows())]
    law = fit_law(noisy, starts=30, resamples=40)

    for sizes in ({}, {"parameters": 1e9}, {"parameters": 1e9, "tokens": -1.0}, {"parameters": 1e9, "tokens": 1e9, "width": 3.0}):
        with pytest.raises(SpecError, match="This law takes parameters and tokens"):
            law.predict(**sizes)
    run, curve = (law.predict(parameters=1e9, tokens=1e10, observed=observed) for observed in (True, False))
    assert run.high - run.low > curve.high - curve.low
    assert law.is_inside(parameters=1e8, tokens=1e10)
    assert not law.is_inside(parameters=1e12, tokens=1e10)
