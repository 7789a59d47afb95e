"""A table of plain values as TOML text."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def toml_text(table: Mapping[str, Any]) -> str:
    """Return TOML that `tomllib` reads back: values first, then a section for each table of values.

    >>> print(toml_text({"seed": 0, "network": {"preset": "he-50", "gain": 1.0}}))
    seed = 0
    <BLANKLINE>
    [network]
    preset = "he-50"
    gain = 1.0
    <BLANKLINE>
    """
    values = {name: value for name, value in table.items() if not isinstance(value, Mapping)}
    sections = {name: value for name, value in table.items() if isinstance(value, Mapping)}
    return _lines(values) + "".join(f"\n[{name}]\n{_lines(section)}" for name, section in sections.items())


def _lines(table: Mapping[str, Any]) -> str:
    return "".join(f"{name} = {_value(value)}\n" for name, value in table.items())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False).replace(
            "\x7f", "\\u007f"
        )  # a JSON string is a TOML string, but for this
    return repr(value)
