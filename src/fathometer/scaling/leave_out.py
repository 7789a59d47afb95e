"""Would the law have known? Each size predicted from the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fathometer.errors import DataError
from fathometer.scaling.estimate import Estimate
from fathometer.scaling.fit import fit_law
from fathometer.scaling.forms import find_form
from fathometer.scaling.points_in import LOSS, read_groups, read_points


@dataclass(frozen=True)
class LeftOut:
    """What a law said of a point that it had not seen, and what the loss was."""

    sizes: Mapping[str, float]
    predicted: Estimate
    loss: float

    @property
    def is_inside(self) -> bool:
        """Return whether the loss lies in the interval."""
        return self.loss in self.predicted


def leave_out(
    records: Any, form: str = "parameters-tokens", *, by: str = "parameters", largest: int | None = None, **wishes: Any
) -> tuple[LeftOut, ...]:
    """Return what the law predicts for each point, fitted without all points of the same size.

    `by` is the column whose values are left out in turn; with `largest`, only that many of the largest, all at once: a test of
    how far a law reaches. `wishes` go to `fit_law`. Raises `DataError` where too few points are left.
    """
    shape = find_form(form)
    found = read_points(records, shape, wishes.pop("columns", None))
    if by not in found:
        raise DataError(f'"{by}" is no column of this law', f"It has {', '.join(shape.columns)}", "Name one of them")
    settings: dict[str, Any] = {"starts": 100, "resamples": 200, **wishes}
    values, groups = np.unique(found[by]), settings.get("groups")
    if groups is not None:
        found.setdefault(groups, read_groups(records, groups, len(found[LOSS])))
    rounds: Sequence[np.ndarray] = [np.array([value]) for value in values] if largest is None else [values[-largest:]]
    result = list[LeftOut]()
    for out in rounds:
        is_out = np.isin(found[by], out)
        law = fit_law({name: column[~is_out] for name, column in found.items()}, form, **settings)
        for place in np.flatnonzero(is_out):
            sizes = {name: float(found[name][place]) for name in shape.columns}
            result.append(LeftOut(sizes, law.predict(observed=True, **sizes), float(found[LOSS][place])))
    return tuple(result)
