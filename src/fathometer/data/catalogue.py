"""The data sets by name; a new one is a new file and one line here."""

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fathometer.data.dataset import Dataset
from fathometer.data.digits import digits
from fathometer.data.folding import parity, sawtooth
from fathometer.data.hierarchy import hierarchy
from fathometer.data.images import images
from fathometer.data.language import language
from fathometer.data.scenes import scenes
from fathometer.data.text import text
from fathometer.errors import DataError, look_up, shown, unknown_name

MOST, MOST_SEED = 10**9, 2**32 - 1
DATASETS: dict[str, Callable[..., Dataset]] = {
    "digits": digits,
    "text": text,
    "images": images,
    "scenes": scenes,
    "language": language,
    "hierarchy": hierarchy,
    "parity": parity,
    "sawtooth": sawtooth,
}


def find_dataset(name: str, **options: Any) -> Dataset:
    """Return the data set of that name, made with these options.

    Raises `SpecError` for a name and `DataError` for an option that there is not, with the nearest right one, and for a
    value of another type.

    >>> find_dataset("parity", bits=4, samples=10).facts["held_out_samples"]
    6
    """
    make = look_up("data set", name, DATASETS)
    return make(**check_options(name, options))


def check_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a data set with lists, as TOML has them, made tuples; raise `DataError` for a wrong one."""
    maker = DATASETS[name]
    parameters, kinds = inspect.signature(maker).parameters, typing.get_type_hints(maker)
    checked = dict[str, Any]()
    for option, value in options.items():
        if option not in parameters:
            known = list(parameters) or ["none"]
            raise unknown_name(f'option of "{name}"', option, known, DataError)
        checked[option] = tuple(value) if isinstance(value, list) else value
        if not _fits(checked[option], kinds[option]):
            raise DataError(
                f'`{option}` of "{name}" is {shown(value)}',
                f"It must be {_in_words(kinds[option])}",
                _example(parameters[option]),
            )
        _check_size(name, option, checked[option])
    for option, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and option not in checked:
            raise DataError(f'"{name}" was given no `{option}`', "It has no default", f"Add {option} = …")
    return checked


def _check_size(name: str, option: str, value: Any) -> None:
    """Raise `DataError` for a number that is not finite, that nothing could have so many of, or that is no seed."""
    most = MOST_SEED if option == "seed" else MOST
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, int | float) and not -MOST <= number <= most:
            raise DataError(
                f'`{option}` of "{name}" is {shown(value)}', f"It is finite, and at most {most:,}", f"Try {option} = 1"
            )
        if option == "seed" and isinstance(number, int) and number < 0:
            raise DataError(f'`seed` of "{name}" is {number}', f"It is a whole number from 0 to {most:,}", "Try seed = 0")


def _fits(value: Any, kind: Any) -> bool:
    """Return whether a value is of an annotated kind; a whole number is a number, a boolean is neither."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return any(_fits(value, member) for member in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        members = typing.get_args(kind)
        return isinstance(value, tuple) and len(value) == len(members) and all(map(_fits, value, members))
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _in_words(kind: Any) -> str:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        words = [_in_words(member) for member in typing.get_args(kind) if member is not types.NoneType]
        return " or ".join(dict.fromkeys(words))
    if typing.get_origin(kind) is tuple:
        return f"a list of {len(typing.get_args(kind))} whole numbers"
    return {int: "a whole number", float: "a number", str: "text", Path: "a path", bool: "true or false"}[kind]


def _example(parameter: inspect.Parameter) -> str:
    if parameter.default in (inspect.Parameter.empty, None):
        return "Give it so, or leave it out" if parameter.default is None else "Give it so"
    return f"Try {parameter.name} = {parameter.default!r}"
