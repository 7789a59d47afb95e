"""Fit a law of scaling, and say how well each of its numbers is known."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fathometer.errors import SpecError
from fathometer.scaling.descent import Points, descend, polish
from fathometer.scaling.forms import Form, design, find_form
from fathometer.scaling.law import Law
from fathometer.scaling.points_in import LOSS, read_groups, read_points
from fathometer.scaling.resample import resample

DELTA = 1e-3  # Hoffmann et al. 2022
EXPONENTS = (0.05, 1.5)  # between which starts are drawn; a fit may leave them
SCALES = (0.03, 0.5)
RESTARTS = 4  # of each resample, from the best of the places where the fit itself came to rest


def fit_law(
    records: Any,
    form: str = "parameters-tokens",
    *,
    columns: Mapping[str, str] | None = None,
    groups: str | None = None,
    delta: float = DELTA,
    starts: int = 500,
    resamples: int = 400,
    seed: int = 0,
) -> Law:
    """Fit a law of scaling to the losses of runs, with an interval for each of its numbers.

    `records` are rows (dicts), a table of columns (a dict of lists, a pandas DataFrame), or the `Record`s of trained specs.
    `form` is "parameters-tokens" (Hoffmann et al. 2022), "width-depth-tokens" (McLeish et al. 2025) or "kaplan" (Kaplan et
    al. 2020); `columns` says what a column is called where it has another name. Minimises Huber's loss, δ = `delta`, of
    log-loss, summed over points, with exact slopes from many `starts`. Intervals of 90% come from `resamples` of the points,
    or of whole runs where `groups` names the column that tells them apart: points of one run err together. A number whose
    interval is too wide to mean anything is in `law.open`, and not printed.

    Raises `DataError` for points that cannot be fitted: too few, not finite, not positive, or a column that never changes.

    >>> law = fit_law([{"parameters": n, "tokens": d, "loss": 2 + 300 / n**.3 + 400 / d**.3} for n in (1e7, 1e8, 1e9)
    ...                for d in (1e9, 1e10, 1e11)], starts=40, resamples=20)
    >>> round(law.predict(parameters=1e10, tokens=1e12).value, 2)
    2.4
    """
    shape = find_form(form)
    _check_wishes(delta, starts, resamples)
    found = read_points(records, shape, columns)
    members = None if groups is None else read_groups(records, groups, len(found[LOSS]))
    centre = {name: float(np.exp(np.log(found[name]).mean())) for name in shape.columns}
    plan, logs = design(shape, {name: found[name] / centre[name] for name in shape.columns}), np.log(found[LOSS])
    points = Points(plan, logs[None], delta, np.ones((1, len(logs))))
    generator = np.random.default_rng(seed)
    rested, values = descend(points, draw_starts(shape, float(np.median(logs)), starts, generator))
    order = np.argsort(values)
    best, objective = polish(points, rested[order[0]])
    residuals = logs - plan.log_loss(best[None])[0][0]
    near = np.vstack([best, rested[order[1 :: max(1, len(order) // RESTARTS)]][: RESTARTS - 1]])
    draws = resample(points, near, members, resamples, generator)
    return Law(
        shape,
        tuple(map(float, _from_centre(shape, best[None], centre)[0])),
        _from_centre(shape, draws, centre),
        source=f"fitted here to {len(logs)} points",
        objective=objective,
        residuals=residuals,
        ranges={name: (float(found[name].min()), float(found[name].max())) for name in shape.columns},
    )


def draw_starts(form: Form, log_loss: float, count: int, generator: np.random.Generator) -> np.ndarray:
    """Return starts around the middle of the data: the loss there is shared out among the terms, exponents are drawn evenly."""
    shares = np.log(generator.dirichlet(np.ones(form.terms), count) + 1e-4)
    theta = np.empty((count, len(form.symbols)))
    for place, unknown in enumerate(form.unknowns):
        drawn = generator.uniform(*EXPONENTS, count)
        theta[:, place] = log_loss + shares[:, unknown.term] if unknown.column is None else drawn
    if form.scaled:
        theta[:, -1] = generator.uniform(*SCALES, count)
        constants = [place for place, unknown in enumerate(form.unknowns) if unknown.column is None]
        theta[:, constants] = log_loss / theta[:, -1:] + shares[:, [form.unknowns[place].term for place in constants]]
    return theta


def _from_centre(form: Form, theta: np.ndarray, centre: Mapping[str, float]) -> np.ndarray:
    """Return numbers that were fitted to columns over their means as numbers for the columns themselves."""
    moved = theta.copy()
    for place, unknown in enumerate(form.unknowns):
        if unknown.column is None:
            powers = [(other, one.column) for other, one in enumerate(form.unknowns) if one.term == unknown.term and one.column]
            moved[:, place] += sum((theta[:, other] * np.log(centre[column]) for other, column in powers), np.zeros(len(theta)))
            if unknown.term in form.fixed:
                moved[:, place] += np.log(centre[form.fixed[unknown.term]])
    return moved


def _check_wishes(delta: float, starts: int, resamples: int) -> None:
    if not (delta > 0 and starts >= 1 and resamples >= 20):
        raise SpecError(
            f"`delta` is {delta}, `starts` {starts} and `resamples` {resamples}",
            "δ is above 0, there is a start, and an interval takes at least 20 resamples",
            "Leave them out for 1e-3, 500 and 400",
        )
