"""What a law of scaling looks like: sums of powers, and their slopes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fathometer.errors import look_up

Columns = Mapping[str, Float[np.ndarray, " point"]]


@dataclass(frozen=True)
class Unknown:
    """One number that is fitted: the term it belongs to, and the column whose logarithm it multiplies (None: it is a constant).

    `symbol` is its name outside; a constant is fitted as its logarithm.
    """

    symbol: str
    term: int
    column: str | None = None


@dataclass(frozen=True)
class Form:
    """log loss = s · log Σ_j exp(c_j - Σ α_i log x_i), over the terms j; s is 1, or the last unknown.

    `fixed` are columns with an exponent of 1 by term: those have no unknown of their own. `formula` is for people.
    """

    name: str
    formula: str
    unknowns: tuple[Unknown, ...]
    fixed: Mapping[int, str]
    scaled: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that the law needs, beside the loss."""
        used = [*(unknown.column for unknown in self.unknowns), *self.fixed.values()]
        return tuple(dict.fromkeys(column for column in used if column is not None))

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the names of all that is fitted, in order."""
        return (*(unknown.symbol for unknown in self.unknowns), *(["α_D"] if self.scaled else []))

    def told(self, theta: Float[np.ndarray, "fit number"]) -> Float[np.ndarray, "fit number"]:
        """Return fitted numbers as the formula has them: constants out of their logarithms, and Kaplan's two exponents.

        That law is fitted as α_D · log(exp(c - b log N) + exp(log Dc - log D)): α_N = b·α_D and Nc = exp(c / b).
        """
        told = theta.copy()
        constants = [place for place, unknown in enumerate(self.unknowns) if unknown.column is None]
        if self.scaled:
            told[:, 0] /= theta[:, 2]
            told[:, 2] *= theta[:, 3]
        told[:, constants] = np.exp(told[:, constants])
        return told

    @property
    def terms(self) -> int:
        """Return how many powers are added."""
        return 1 + max(unknown.term for unknown in self.unknowns)


@dataclass(frozen=True)
class Design:
    """A form at some points: `rates[n, p]` is the slope of its term by unknown p, `offset[n, j]` what no unknown moves."""

    form: Form
    rates: Float[np.ndarray, "point unknown"]
    offset: Float[np.ndarray, "point term"]
    member: Float[np.ndarray, "unknown term"]  # 1 where an unknown belongs to a term

    def log_loss(self, theta: Float[np.ndarray, "fit number"]) -> tuple[Float[np.ndarray, "fit point"], np.ndarray]:
        """Return the logarithm of the loss of each fit at each point, and the share of each term in it."""
        linear = theta[:, : self.rates.shape[1]]
        heights = np.stack([self.offset[:, j] + linear @ (self.rates * self.member[:, j]).T for j in range(self.form.terms)])
        top = heights.max(0)
        powers = np.exp(heights - top)
        total = powers.sum(0)
        logs = top + np.log(total)
        return (theta[:, -1:] * logs if self.form.scaled else logs), powers / total

    def slopes(self, theta: Float[np.ndarray, "fit number"], logs: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Return the slope of `log_loss` by each unknown, (fit, point, number), from what `log_loss` returned."""
        own = np.einsum("jsn,pj->snp", shares, self.member) * self.rates
        if not self.form.scaled:
            return own
        scale = theta[:, -1][:, None, None]
        return np.concatenate([own * scale, logs[:, :, None] / scale], axis=2)


def design(form: Form, columns: Columns) -> Design:
    """Return a form at the points of a table of columns."""
    logs = {name: np.log(np.asarray(columns[name], dtype=float)) for name in form.columns}
    size = len(next(iter(logs.values())))
    rates = [np.ones(size) if unknown.column is None else -logs[unknown.column] for unknown in form.unknowns]
    offset = [-logs[form.fixed[term]] if term in form.fixed else np.zeros(size) for term in range(form.terms)]
    member = np.array([[float(unknown.term == term) for term in range(form.terms)] for unknown in form.unknowns])
    return Design(form, np.stack(rates, axis=1), np.stack(offset, axis=1), member)


PARAMETERS_TOKENS = Form(
    "parameters-tokens",
    "loss = E + A / parameters^α + B / tokens^β",
    (Unknown("E", 0), Unknown("A", 1), Unknown("B", 2), Unknown("α", 1, "parameters"), Unknown("β", 2, "tokens")),
    {},
)
WIDTH_DEPTH_TOKENS = Form(
    "width-depth-tokens",
    "loss = E + A / width^α + B / depth^β + C / tokens^γ",
    (
        Unknown("E", 0),
        Unknown("A", 1),
        Unknown("B", 2),
        Unknown("C", 3),
        Unknown("α", 1, "width"),
        Unknown("β", 2, "depth"),
        Unknown("γ", 3, "tokens"),
    ),
    {},
)
KAPLAN = Form(
    "kaplan",
    "loss = ((Nc / parameters)^(α_N / α_D) + Dc / tokens)^α_D",
    (Unknown("Nc", 0), Unknown("Dc", 1), Unknown("α_N", 0, "parameters")),
    {1: "tokens"},
    scaled=True,
)
FORMS: dict[str, Form] = {form.name: form for form in (PARAMETERS_TOKENS, WIDTH_DEPTH_TOKENS, KAPLAN)}


def find_form(name: str) -> Form:
    """Return the form of that name, or raise with the nearest right one."""
    return look_up("law", name, FORMS)
