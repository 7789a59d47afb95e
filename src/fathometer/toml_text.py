"""Plain values as TOML text, and back."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def dump(table: Mapping[str, Any]) -> str:
    """Return TOML that `load` reads back: values first, then a section for each table of values.

    >>> print(dump({"seed": 0, "network": {"preset": "he-50", "gain": 1.0}}))
    seed = 0
    <BLANKLINE>
    [network]
    preset = "he-50"
    gain = 1.0
    <BLANKLINE>
    """
    values = {name: one for name, one in table.items() if not isinstance(one, Mapping)}
    sections = {name: one for name, one in table.items() if isinstance(one, Mapping)}
    return _lines(values) + "".join(f"\n[{name}]\n{_lines(section)}" for name, section in sections.items())


def value(given: Any) -> str:
    """Return one value as TOML.

    >>> value((1, 0.5, "a"))
    '[1, 0.5, "a"]'
    """
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, list | tuple):
        return f"[{', '.join(map(value, given))}]"
    if isinstance(given, str | Path):
        text = json.dumps(str(given), ensure_ascii=False)  # a JSON string is a TOML string, but for this:
        return text.replace("\x7f", "\\u007f")
    return repr(given)


def load(text: str) -> dict[str, Any]:
    """Return the table of a TOML text; raise `ValueError` for any other, also for one that is nested too deep to be read."""
    try:
        text.encode()  # half a character is none, and could not be written again
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def load_value(text: str) -> Any:
    """Return a single value as TOML has it; raise `ValueError` for a text that is none, or more than one.

    >>> load_value("[10, 20]"), load_value("1e-3")
    ([10, 20], 0.001)
    """
    table = load(f"value = {text}")
    if set(table) != {"value"}:
        raise ValueError("it is more than one value")
    return table["value"]


def _lines(table: Mapping[str, Any]) -> str:
    return "".join(f"{name} = {value(one)}\n" for name, one in table.items())


def value_or_word(text: str) -> Any:
    """Return a value as TOML reads it; what it cannot read is a word.

    >>> value_or_word("[10, 20]"), value_or_word(" rope ")
    ([10, 20], 'rope')
    """
    try:
        return load_value(text)
    except ValueError:
        return text.strip()
