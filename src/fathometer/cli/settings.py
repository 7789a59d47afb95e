"""Options given as OPTION=VALUE, the value as TOML has it."""

import tomllib
from collections.abc import Sequence
from typing import Any

from fathometer.errors import SpecError


def read_settings(changes: Sequence[str]) -> dict[str, Any]:
    """Return options by name; raise `SpecError` for what is no OPTION=VALUE.

    >>> read_settings(["depths=[10, 20]", "activation=\\"tanh\\""])
    {'depths': [10, 20], 'activation': 'tanh'}
    """
    found = dict[str, Any]()
    for change in changes:
        name, _, value = change.partition("=")
        try:
            table = tomllib.loads(f"value = {value}")
        except tomllib.TOMLDecodeError:
            raise SpecError(
                f'"{change}" was given', "An option is NAME=VALUE, the value as TOML has it", "Try depths=[10,20]"
            ) from None
        found[name.strip()] = table["value"]
    return found
