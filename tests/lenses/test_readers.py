"""The readers are scikit-learn's, and a ridge that equals it in closed form."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.preprocessing import StandardScaler

from fathometer.errors import BatchError
from fathometer.lenses.readers import PENALTIES, _leave_one_out, read


def data(seed: int, rows: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of 8 numbers and the class, of 3, that a noisy linear map gives."""
    draw = np.random.default_rng(seed)
    inputs = draw.normal(size=(rows, 8)) * np.arange(1, 9)
    weights = np.random.default_rng(0).normal(size=(8, 3)) / np.arange(1, 9)[:, None]
    return inputs.astype(np.float32), (inputs @ weights + 0.5 * draw.normal(size=(rows, 3))).argmax(1)


def test_logistic_is_scikit_learn_called_directly() -> None:
    """Which new rows are right is exactly what LogisticRegression on standardised numbers says."""
    (known, labels), (new, truth) = data(0), data(1)
    scaler = StandardScaler().fit(known)
    twin = LogisticRegression(max_iter=100).fit(scaler.transform(known), labels).predict(scaler.transform(new))

    np.testing.assert_array_equal(read("logistic", known, labels, new, truth), twin == truth)


def test_ridge_in_closed_form_is_scikit_learn() -> None:
    """With the penalty that leave-one-out prefers, the answers are those of RidgeCV on the classes as 0 and 1."""
    (known, labels), (new, truth) = data(0), data(1)
    scaler = StandardScaler().fit(known)
    best = RidgeCV(alphas=PENALTIES).fit(scaler.transform(known).astype(float), np.eye(3)[labels])
    twin = best.predict(scaler.transform(new).astype(float)).argmax(1)

    np.testing.assert_array_equal(read("ridge", known, labels, new, truth), twin == truth)


def test_leaving_one_out_in_closed_form_is_leaving_one_out() -> None:
    """The squared error of each row when it is left out, against fitting anew without it."""
    inputs, labels = data(2, rows=40)
    inputs = StandardScaler().fit_transform(inputs.astype(float))
    targets = np.eye(3)[labels]
    by_hand = []
    for row in range(40):
        rest = np.arange(40) != row
        one = Ridge(alpha=10.0).fit(inputs[rest], targets[rest])
        by_hand.append((one.predict(inputs[row : row + 1])[0] - targets[row]) ** 2)
    left, sizes, _ = np.linalg.svd(inputs, full_matrices=False)
    centred = targets - targets.mean(0)

    assert _leave_one_out(left, sizes, left.T @ centred, centred, 10.0) == pytest.approx(np.mean(by_hand), rel=1e-6)


def test_both_read_what_is_there_and_not_what_is_not() -> None:
    """On the true labels both are far above, on shuffled ones both at, a third."""
    (known, labels), (new, truth) = data(0), data(1)
    shuffled = np.random.default_rng(0).permutation(labels)
    for kind in ("logistic", "ridge"):
        assert read(kind, known, labels, new, truth).mean() > 0.6
        assert read(kind, known, shuffled, new, truth).mean() < 0.45  # 300 rows: five standard deviations


def test_an_unknown_reader_is_refused() -> None:
    """The error names the known ones."""
    with pytest.raises(BatchError, match="logistic, ridge"):
        read("forest", np.zeros((2, 1)), np.array([0, 1]), np.zeros((1, 1)), np.array([0]))
