"""A remedy, the function that applies it, the code that shows it."""

import inspect
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from fathometer.contract import arguments_for
from fathometer.diagnosis.case import Case
from fathometer.finding import Remedy

HEADER = "import torch\nfrom torch import nn\n"


@dataclass(frozen=True)
class Candidate:
    """A remedy with the function that applies it to a copy, and the changes it asks of the training run.

    `apply(case, seed)` returns a new model; the case's own is never edited. `training` are fields of `Asked`, and
    `rates` to sweep in place of the usual ones; `answers` are causes that it does not remove from the profile, because it
    changes the training and not the network.
    """

    remedy: Remedy
    apply: Callable[[Case, int], nn.Module]
    training: Mapping[str, Any] = field(default_factory=dict)
    rates: tuple[float, ...] | None = None
    answers: tuple[str, ...] = ()


def advice(name: str, title: str, why: str, invasiveness: int) -> Candidate:
    """Return a remedy in words: nothing is tried, and it says so."""
    return Candidate(Remedy(name, title, why, invasiveness), lambda case, seed: deepcopy(case.model))


def call_words(case: Case) -> str:
    """Return how a model is called with these inputs: whole, by position or by name."""
    args, kwargs = arguments_for(case.model, case.inputs)
    return "**inputs" if kwargs else ("inputs" if len(args) == 1 and args[0] is case.inputs else "*inputs")


def seed_words(case: Case) -> str:
    return f", seed={case.seed}" if case.seed else ""


def call_on_copy(
    case: Case,
    name: str,
    title: str,
    why: str,
    invasiveness: int,
    functions: tuple[Callable[..., Any], ...],
    arguments: dict[str, Any],
    citations: tuple[str, ...],
) -> Candidate:
    """Return the candidate whose last function, called with these arguments, is both what runs and what is shown."""
    last = functions[-1]
    seeded = "seed" in inspect.signature(last).parameters
    words = ", ".join(f"{key}={value!r}" for key, value in arguments.items()) + (seed_words(case) if seeded else "")
    code = f"{source(functions)}\nmodel = {last.__name__}({', '.join(filter(None, ('model', words.removeprefix(', '))))})\n"

    def apply(case: Case, seed: int) -> nn.Module:
        return last(deepcopy(case.model), **arguments, **({"seed": seed} if seeded else {}))

    return Candidate(Remedy(name, title, why, invasiveness, code, citations), apply)


def source(functions: tuple[Callable[..., Any], ...]) -> str:
    """Return the source of the functions that ran, with the imports that they need."""
    text = "\n\n".join(inspect.getsource(function) for function in functions)
    typing = [name for name in ("Callable", "Sequence") if name in text]
    extra = f"from collections.abc import {', '.join(typing)}\n" if typing else ""
    extra += "from typing import Any\n" if " Any" in text else ""
    return f"{extra}{HEADER}\n\n{text}"
