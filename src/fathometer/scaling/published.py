"""The laws that were published, by name, with what they disagree in."""

from collections.abc import Mapping

import numpy as np

from fathometer.errors import look_up
from fathometer.scaling.forms import KAPLAN, PARAMETERS_TOKENS, WIDTH_DEPTH_TOKENS, Form
from fathometer.scaling.law import Law

DRAWS = 400

# Of the fit to the 240 points of Besiroglu et al. 2024 (`fit_law`, 2,000 resamples): where the middle of the points is, and the
# standard deviations and correlations of log E, log A and log B there, α and β. Their own standard errors are of this size.
_MIDDLE = {"parameters": 20.559283, "tokens": 23.553231}
_SPREAD = (0.01236, 0.05161, 0.05729, 0.01335, 0.01806)
_CORRELATION = (
    (1.0, -0.544, -0.586, 0.581, 0.614),
    (-0.544, 1.0, -0.357, -0.987, 0.305),
    (-0.586, -0.357, 1.0, 0.302, -0.986),
    (0.581, -0.987, 0.302, 1.0, -0.26),
    (0.614, 0.305, -0.986, -0.26, 1.0),
)


def _powers(E: float, A: float, B: float, alpha: float, beta: float) -> tuple[float, ...]:
    return (*np.log([E, A, B]).tolist(), alpha, beta)


def _besiroglu_draws(theta: tuple[float, ...]) -> np.ndarray:
    spread = np.array(_SPREAD)
    draws = np.random.default_rng(0).multivariate_normal(
        np.zeros(len(spread)), np.array(_CORRELATION) * np.outer(spread, spread), DRAWS, check_valid="ignore"
    )
    draws[:, 1] += draws[:, 3] * _MIDDLE["parameters"]  # from the middle of the points to one parameter and one token
    draws[:, 2] += draws[:, 4] * _MIDDLE["tokens"]
    return np.array(theta) + draws


def _law(form: Form, theta: tuple[float, ...], source: str, ranges: Mapping[str, tuple[float, float]] | None = None) -> Law:
    return Law(form, theta, np.zeros((0, len(theta))), source, ranges=ranges or {})


_BESIROGLU = _powers(1.8172, 482.01, 2085.43, 0.3478, 0.3658)
_CHINCHILLA_RANGES = {"parameters": (4.4e7, 1.6e10), "tokens": (2e8, 1e12)}  # about; read off the published figure

PUBLISHED: dict[str, Law] = {
    "besiroglu2024": Law(
        PARAMETERS_TOKENS,
        _BESIROGLU,
        _besiroglu_draws(_BESIROGLU),
        "Besiroglu et al. 2024, Chinchilla scaling: a replication attempt",
        ranges=_CHINCHILLA_RANGES,
    ),
    "hoffmann2022": _law(
        PARAMETERS_TOKENS,
        (0.5267228, 6.0073404, 6.0179186, 0.33917084, 0.2849083),
        "Hoffmann et al. 2022, Training compute-optimal large language models, approach 3, unrounded",
        _CHINCHILLA_RANGES,
    ),
    "hoffmann2022-rounded": _law(
        PARAMETERS_TOKENS,
        _powers(1.69, 406.4, 410.7, 0.34, 0.28),
        "Hoffmann et al. 2022, approach 3 as printed: rounded so that it contradicts approaches 1 and 2",
        _CHINCHILLA_RANGES,
    ),
    "gemstones2025": _law(
        PARAMETERS_TOKENS,
        (0.76226, 5.3613, 15.416, 0.29287, 0.71287),
        "McLeish et al. 2025, Gemstones: a model suite for multi-faceted scaling laws (hot runs)",
        {"parameters": (5e7, 2e9), "tokens": (1e10, 3.5e11)},
    ),
    "kaplan2020": _law(
        KAPLAN,
        (float(np.log(6.4e13)) * 0.076 / 0.103, float(np.log(1.8e13)), 0.076 / 0.103, 0.103),
        "Kaplan et al. 2020, Scaling laws for neural language models, equation 1.5 (parameters without embeddings)",
        {"parameters": (768.0, 1.5e9), "tokens": (2e7, 2.3e10)},
    ),
}
# Not a loss to be minimised but what the paper advises: N = 1.3e9 · (C / petaflop day)^0.73, its table 6.
KAPLAN_ADVICE = (1.3e9, 0.73)
# Fitted here to the 220 points of McLeish et al. 2025, δ = 1e-3: E is not identified, and the best depth rests on that.
GEMSTONES_SHAPE = _law(
    WIDTH_DEPTH_TOKENS,
    (-18.156, 2.18132, 0.83468, 10.98393, 0.30662, 0.10662, 0.51918),
    "fitted here to the public losses of McLeish et al. 2025; E is not identified",
    {"width": (256.0, 3072.0), "depth": (3.0, 80.0), "tokens": (1e10, 3.5e11)},
)


def find_law(name: str) -> Law:
    """Return the published law of that name, or raise with the nearest right one."""
    return look_up("published law", name, PUBLISHED)
