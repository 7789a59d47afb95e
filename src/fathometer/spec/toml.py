"""Specs as dictionaries and as TOML files."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from fathometer import toml_text
from fathometer.errors import SpecError, TargetError, unknown_name
from fathometer.spec.changes import OFF, change, plain_value
from fathometer.spec.checks import check_word
from fathometer.spec.families import FAMILIES, Spec, check_fields, family_of, field_types
from fathometer.spec.presets import preset


def load_spec(path: str | Path) -> Spec:
    """Read a spec from a TOML file: `family = "mlp"` or `preset = "he-50"`, then fields of that family."""
    path = Path(path)
    try:
        table = toml_text.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TargetError(f'There is no file "{path}"', "A spec is a TOML file", "Check the path") from None
    except OSError as problem:
        raise TargetError(f'"{path}" cannot be read: {problem.strerror}', "A spec is a readable file", "Check it") from None
    except ValueError as problem:
        raise SpecError(
            f'"{path.name}" is not TOML: {problem}', 'Lines look like width = 64 or init = "he"', "Mend that line"
        ) from None
    return spec_from_dict(table)


def spec_from_dict(table: Mapping[str, Any]) -> Spec:
    """Return the spec of a table; unknown families and fields are errors that name the nearest right one.

    `"off"` stands for None. A `preset` whose width is changed becomes a narrow twin, as in `preset("gpt2@width=128")`.
    """
    table = dict(table)
    family, base = table.pop("family", None), table.pop("preset", None)
    if (family is None) == (base is None):
        given = "Neither `family` nor `preset` is given" if family is None else "Both `family` and `preset` are given"
        raise SpecError(given, "A spec names exactly one of them", 'Write family = "mlp", or preset = "he-50"')
    if base is not None:
        check_word("preset", base, "he-50")
        return change(preset(base), table)
    check_word("family", family, "mlp")
    if family not in FAMILIES:
        raise unknown_name("family", family, FAMILIES)
    return _from_fields(family, table)


def spec_to_dict(spec: Spec) -> dict[str, Any]:
    """Return the table that `spec_from_dict` reads back; a field that is None by default and still is, is left out."""
    table: dict[str, Any] = {"family": family_of(spec)}
    for field in fields(spec):
        value = getattr(spec, field.name)
        if value is not None or field.default is not None:
            table[field.name] = OFF if value is None else value
    return table


def spec_to_toml(spec: Spec) -> str:
    """Return the TOML text that `load_spec` reads back."""
    return toml_text.dump(spec_to_dict(spec))


def _from_fields(family: str, table: Mapping[str, Any]) -> Spec:
    check_fields(family, table)
    types = field_types(family)
    return FAMILIES[family](**{name: plain_value(value, *types[name]) for name, value in table.items()})
