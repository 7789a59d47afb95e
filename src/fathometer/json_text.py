"""Strict JSON for results: what is not finite becomes a word."""

import json
from typing import Any

_WORDS = {"Infinity": float("inf"), "-Infinity": float("-inf"), "NaN": float("nan")}
_QUOTE = "'"  # what stands around a text that would else be read as one of these


def dump(value: Any, indent: int | None = 2) -> str:
    """Return strict JSON text; tuples become lists, and inf, -inf and nan become the words of `_WORDS`; such a word is quoted.

    >>> dump({"gain": float("inf")}, indent=None)
    '{"gain": "Infinity"}'
    """
    return json.dumps(_to_words(value), indent=indent, allow_nan=False)


def load(text: str) -> Any:
    """Return what `dump` was given, with lists for tuples; raise `ValueError` for anything that is not JSON."""
    try:
        return _from_words(json.loads(text))
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _to_words(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _to_words(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_words(item) for item in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return "NaN" if value != value else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, str) and value.strip(_QUOTE) in _WORDS:
        return f"{_QUOTE}{value}{_QUOTE}"
    return value


def _from_words(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _from_words(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_from_words(item) for item in value]
    if not isinstance(value, str) or value.strip(_QUOTE) not in _WORDS:
        return value
    return _WORDS[value] if value in _WORDS else value.removeprefix(_QUOTE).removesuffix(_QUOTE)
