"""Options given as OPTION=VALUE, the value as TOML has it."""

from collections.abc import Sequence
from typing import Any

from fathometer import toml_text
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
            found[name.strip()] = toml_text.load_value(value)
        except ValueError:
            raise SpecError(
                f'"{change}" was given', "An option is NAME=VALUE, the value as TOML has it", "Try depths=[10,20]"
            ) from None
    return found
