"""Whether the parts of a checkpoint are those of a course."""

import random
from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fathometer.training.course import Course

TABLES = ("tied", "facts", "numbers")
OF_ADAM = frozenset(("step", "exp_avg", "exp_avg_sq"))
OF_MOMENTUM = frozenset(("momentum_buffer",))
MOST_WORDS = 624  # of the Mersenne twister, Python's and numpy's generator


def problem_of(
    course: Course, weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> str | None:
    """Return in a few words what is wrong with the parts of a checkpoint; None where they can be used.

    A file whose hash is right was not damaged, yet another program may have written it.
    """
    for name in TABLES:
        if not isinstance(facts.get(name), dict):
            return f"`{name}` is no table"
    for name, value in weights.items():
        if not bool(value.isfinite().all()):
            return f"the weight `{name}` is not finite"
    losses, seconds = tensors.get("losses"), facts.get("seconds")
    if losses is None or losses.dtype != torch.float64 or losses.ndim != 1 or not bool(losses.isfinite().all()):
        return "`losses` are not a row of finite numbers"
    if type(facts.get("step")) is not int or facts["step"] != len(losses):
        return "`step` is not the number of losses"
    if not isinstance(seconds, float) or not isfinite(seconds) or seconds < 0:
        return "`seconds` is no time"
    own = course.model.state_dict(keep_vars=True)
    if any(name not in own or own[name].shape != value.shape for name, value in weights.items()):
        return None  # of another network, which `set_weights` says by name before it changes anything
    return _of_scaler(course, facts.get("scaler")) or _of_generators(tensors, facts) or _of_optimizer(course, tensors, facts)


def _of_scaler(course: Course, given: Any) -> str | None:
    own = None if course.scaler is None else course.scaler.state_dict()
    if own is None or not isinstance(given, dict):
        return None if own is given is None else "`scaler` is not that of this precision"
    numbers = all(isinstance(value, int | float) and isfinite(value) for value in given.values())
    return None if set(given) == set(own) and numbers else "`scaler` is not as torch keeps it"


def _of_generators(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the states of the generators: each is given to a generator of its own."""
    try:
        version, words, gauss = facts["python"]
        random.Random().setstate((version, tuple(words), gauss))
        name, row, place, has_gauss, cached = facts["numpy"]
        np.random.RandomState().set_state((name, np.array(row, dtype=np.uint32), place, has_gauss, cached))
        for state in tensors["generator/cpu"]:
            torch.Generator().set_state(state.clone())
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, RuntimeError):
        return "the state of a generator is none"
    plain = isinstance(gauss, float | None) and isinstance(cached, int | float) and type(place) is int and has_gauss in (0, 1)
    return None if plain and 0 <= place <= MOST_WORDS and 0 <= words[-1] <= MOST_WORDS else "the state of a generator is none"


def _of_optimizer(course: Course, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the optimizer's numbers: each parameter has all of them, or none where it has never moved."""
    held: dict[str, set[str]] = {}
    for name in [*tensors, *facts["numbers"]]:
        if name.startswith("optimizer/"):
            parameter, _, key = name.removeprefix("optimizer/").rpartition("/")
            held.setdefault(parameter, set()).add(key)
    if not all(isinstance(value, int | float | None) for value in facts["numbers"].values()):
        return "`numbers` holds what is no number"
    named = {id(parameter): name for name, parameter in course.model.named_parameters()}
    for group in course.optimizer.param_groups:
        for parameter in group["params"]:
            name = named[id(parameter)]
            if held.get(name, set()) not in (set(), _kept(course, group)):
                return f"the optimizer's numbers of `{name}` are not those of `{course.asked.optimizer}`"
            for key in held.get(name, set()):
                value = tensors.get(f"optimizer/{name}/{key}")
                if value is not None and value.shape != (torch.Size([]) if key == "step" else parameter.shape):
                    return f"the optimizer's `{key}` of `{name}` has another shape"
    return None


def _kept(course: Course, group: Mapping[str, Any]) -> frozenset[str]:
    """Return what the optimizer keeps for each parameter of a group."""
    if group.get("muon") or course.asked.optimizer == "sgd":
        return OF_MOMENTUM if group.get("muon") or course.asked.momentum else frozenset()
    return OF_ADAM
