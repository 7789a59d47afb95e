"""Specs as dictionaries and as TOML files."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from fathometer.errors import SpecError, TargetError, unknown_name
from fathometer.spec.mlp import Mlp
from fathometer.spec.presets import preset

FAMILIES: dict[str, type[Mlp]] = {"mlp": Mlp}


def load_spec(path: str | Path) -> Mlp:
    """Read a spec from a TOML file: `family = "mlp"` or `preset = "he-50"`, then fields of that family."""
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TargetError(f'There is no file "{path}"', "A spec is a TOML file", "Check the path") from None
    except OSError as problem:
        raise TargetError(f'"{path}" cannot be read: {problem.strerror}', "A spec is a readable file", "Check it") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise SpecError(
            f'"{path.name}" is not TOML: {problem}', 'Lines look like width = 64 or init = "he"', "Mend that line"
        ) from None
    return spec_from_dict(table)


def spec_from_dict(table: Mapping[str, Any]) -> Mlp:
    """Return the spec of a table; unknown families and fields are errors that name the nearest right one."""
    table = dict(table)
    family, base = table.pop("family", None), table.pop("preset", None)
    if (family is None) == (base is None):
        given = "Neither `family` nor `preset` is given" if family is None else "Both `family` and `preset` are given"
        raise SpecError(given, "A spec names exactly one of them", 'Write family = "mlp", or preset = "he-50"')
    if family is not None and str(family) not in FAMILIES:
        raise unknown_name("family", str(family), FAMILIES)
    known = [field.name for field in fields(Mlp)]
    for name in table:
        if name not in known:
            raise unknown_name("field", name, known)
    return replace(preset(str(base)), **table) if base is not None else FAMILIES[str(family)](**table)


def spec_to_dict(spec: Mlp) -> dict[str, Any]:
    """Return the table that `spec_from_dict` reads back."""
    family = next(name for name, kind in FAMILIES.items() if isinstance(spec, kind))
    return {"family": family, **{name: value for name, value in asdict(spec).items() if value is not None}}


def spec_to_toml(spec: Mlp) -> str:
    """Return the TOML text that `load_spec` reads back."""
    return "".join(f"{name} = {_toml_value(value)}\n" for name, value in spec_to_dict(spec).items())


def _toml_value(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
