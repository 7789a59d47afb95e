"""Simple readers of a layer: logistic regression, and ridge."""

import warnings
from collections.abc import Callable
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Shaped
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from fathometer.errors import BatchError, unknown_name

MAX_ITERATIONS = 100
PENALTIES = tuple(10.0**power for power in range(-1, 6))
Kind = Literal["logistic", "ridge"]
Rows = Float[np.ndarray, "row unit"]
Answers = Shaped[np.ndarray, " row"]
NewRows = Float[np.ndarray, "new unit"]
NewAnswers = Shaped[np.ndarray, " new"]


def read(kind: str, known: Rows, labels: Answers, new: NewRows, new_labels: NewAnswers) -> Bool[np.ndarray, " new"]:
    """Return which new rows a reader gets right that was fitted on the known ones, both standardised by the known.

    "logistic" is scikit-learn's; "ridge" is least squares on the classes as numbers 0 and 1, its penalty the one with the least
    leave-one-out error, all in closed form: about ten times faster, for a quick look.
    """
    check_kind(kind)
    scaler = StandardScaler().fit(known)
    return READERS[kind](scaler.transform(known), labels, scaler.transform(new)) == new_labels


def check_kind(kind: str) -> None:
    """Raise `BatchError` where there is no reader of that name."""
    if kind not in READERS:
        raise unknown_name("kind of probe", kind, READERS, BatchError)


def _logistic(known: Rows, labels: Answers, new: NewRows) -> NewAnswers:
    with warnings.catch_warnings():
        # A probe that is not at its optimum yet is still an honest lower bound on what the layer holds.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(max_iter=MAX_ITERATIONS).fit(known, labels).predict(new)


def _ridge(known: Rows, labels: Answers, new: NewRows) -> NewAnswers:
    classes, numbers = np.unique(labels, return_inverse=True)
    targets = np.eye(len(classes))[numbers]
    mean = targets.mean(0)
    left, sizes, right = np.linalg.svd(known.astype(np.float64), full_matrices=False)
    onto = left.T @ (targets - mean)
    losses = [_leave_one_out(left, sizes, onto, targets - mean, penalty) for penalty in PENALTIES]
    penalty = PENALTIES[int(np.argmin(losses))]
    weights = right.T @ ((sizes / (sizes**2 + penalty))[:, None] * onto)
    return classes[(new @ weights + mean).argmax(1)]


def _leave_one_out(left: np.ndarray, sizes: np.ndarray, onto: np.ndarray, targets: np.ndarray, penalty: float) -> float:
    """Return the mean squared error of each row when it is left out: the residual over 1 - h, with h the row's leverage."""
    shrink = sizes**2 / (sizes**2 + penalty)
    leverage = 1 / len(left) + (left**2 @ shrink)
    residual = targets - left @ (shrink[:, None] * onto)
    return float(np.mean((residual / np.maximum(1 - leverage, 1e-6)[:, None]) ** 2))


READERS: dict[str, Callable[[Rows, Answers, NewRows], NewAnswers]] = {"logistic": _logistic, "ridge": _ridge}
