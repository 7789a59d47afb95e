"""Call any module with a tensor, a tuple, a dictionary, a dataclass."""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn


def call(model: nn.Module, inputs: Any) -> Any:
    """Return what the model answers to these inputs.

    A dictionary is passed by name if `forward` knows its keys, a tuple position by position if `forward` takes as many;
    anything else, a dataclass for one, is passed whole.
    """
    args, kwargs = arguments_for(model, inputs)
    return model(*args, **kwargs)


def arguments_for(model: nn.Module, inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and the named arguments with which the model's `forward` takes these inputs."""
    positional, named, any_named = _signature(model)
    if isinstance(inputs, Mapping) and inputs and all(isinstance(key, str) for key in inputs):
        fits = any_named or all(key in named for key in inputs)
        return ((), dict(inputs)) if fits else ((inputs,), {})
    if isinstance(inputs, list | tuple) and positional >= len(inputs) and not hasattr(inputs, "_fields"):
        return tuple(inputs), {}
    return (inputs,), {}


def _signature(model: nn.Module) -> tuple[int | float, set[str], bool]:
    """Return how many positional arguments `forward` takes, the names it knows, and whether it takes any name."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return 1, set(), False
    kinds = [parameter.kind for parameter in parameters]
    positional = sum(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)
    many = inspect.Parameter.VAR_POSITIONAL in kinds
    return (float("inf") if many else positional), {p.name for p in parameters}, inspect.Parameter.VAR_KEYWORD in kinds
