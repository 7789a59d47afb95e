"""Options given as OPTION=VALUE, the value as TOML has it, or a word."""

from collections.abc import Sequence
from typing import Any

from fathometer import toml_text
from fathometer.errors import SpecError
from fathometer.files import is_text


def read_settings(changes: Sequence[str]) -> dict[str, Any]:
    """Return options by name; raise `SpecError` for what is no OPTION=VALUE. A value that TOML cannot read is a word.

    >>> read_settings(["depths=[10, 20]", "activation=\\"tanh\\"", "positions=rope"])
    {'depths': [10, 20], 'activation': 'tanh', 'positions': 'rope'}
    """
    found = dict[str, Any]()
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals or not name.strip() or not is_text(change):
            raise SpecError(f'"{change}" was given', "An option is NAME=VALUE, the value as TOML has it", "Try depths=[10,20]")
        found[name.strip()] = toml_text.value_or_word(text)
    return found
