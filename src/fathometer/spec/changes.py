"""Another network of the same family: changed fields, and narrow twins."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from fathometer.errors import SpecError
from fathometer.spec.checks import MOST, largest_divisor
from fathometer.spec.families import Spec, check_fields, family_of, field_types
from fathometer.spec.transformer import Transformer

TWIN_HEAD_WIDTH = 16  # heads of a narrow twin: small enough that width 64 still has four
OFF = "off"  # how None is written
_FLAGS = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


def change(spec: Spec, changes: Mapping[str, Any]) -> Spec:
    """Return the spec with fields changed; a transformer of another width keeps its proportions.

    Unless they are given, `heads` becomes max(1, width // 16) (the largest divisor of the width up to that), `kv_heads` keeps
    its share of them as nearly as it can, and `mlp_width` its share of the width.
    """
    family = family_of(spec)
    check_fields(family, changes)
    types = field_types(family)
    cleaned = {name: plain_value(value, *types[name]) for name, value in changes.items()}
    width = cleaned.get("width")
    if isinstance(spec, Transformer) and type(width) is int and 0 < width <= MOST and width != spec.width:
        cleaned = {**_proportions(spec, width, cleaned), **cleaned}
    return replace(spec, **cleaned)


def parse_changes(spec: Spec, text: str) -> dict[str, Any]:
    """Return the changes that `field=value,…` asks for, each value as its field's type.

    >>> parse_changes(Transformer(), "depth=3,tied=off,heads=off")
    {'depth': 3, 'tied': False, 'heads': None}
    """
    types = field_types(family_of(spec))
    result: dict[str, Any] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals:
            raise SpecError(
                f'"{part}" after @ has no "="' if part else "Nothing is named after @ or a comma",
                "Changes are written field=value",
                'For example "@width=128"',
            )
        check_fields(family_of(spec), [name])
        if name in result:
            raise SpecError(f"`{name}` is given twice after @", "Each field is changed once", "Leave one of them out")
        result[name] = parse_value(value, *types[name])
    return result


def parse_value(text: str, kind: type, optional: bool) -> Any:
    """Return a word as a value of that type; what cannot be one stays as near as it can, for the spec to refuse by name."""
    if optional and text in (OFF, "none"):
        return None
    if kind is bool:
        return _FLAGS.get(text.lower(), text)
    if kind is tuple:
        parts = text.split("-")
        return tuple(int(part) for part in parts) if all(part.isascii() and part.isdecimal() for part in parts) else text
    return _parse_number(text, kind) if kind in (int, float) else text


def plain_value(value: Any, kind: type, optional: bool) -> Any:
    """Return a value of a TOML or JSON table as a spec holds it: "off" is None, a list a tuple, and 1 is 1.0 where it must."""
    if optional and value == OFF:
        return None
    if kind is float and type(value) is int and abs(value) < sys.float_info.max:
        return float(value)
    return tuple(value) if kind is tuple and isinstance(value, list) else value


def _parse_number(text: str, kind: type) -> int | float | str:
    if not text.isascii():  # Python reads the digits of every script
        return text
    for convert in (kind, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


def _proportions(spec: Transformer, width: int, given: Mapping[str, Any]) -> dict[str, Any]:
    even = 2 if spec.positions == "rope" and width % 2 == 0 else 1  # RoPE turns pairs
    heads = given.get("heads", largest_divisor(width // even, max(1, width // TWIN_HEAD_WIDTH)))
    result: dict[str, Any] = {"heads": heads}
    if spec.kv_heads is not None and type(heads) is int and heads > 0:
        result["kv_heads"] = largest_divisor(heads, max(1, round(Fraction(heads * spec.kv_heads, spec.num_heads))))
    if spec.mlp_width is not None:
        result["mlp_width"] = max(1, round(Fraction(width) * spec.mlp_width / spec.width))
    return result
