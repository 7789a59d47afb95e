"""The families of networks by name, and their fields."""

from collections.abc import Iterable
from dataclasses import fields
from types import NoneType
from typing import Any, get_args, get_type_hints

from fathometer.errors import unknown_name
from fathometer.spec.convnet import ConvNet
from fathometer.spec.mlp import Mlp
from fathometer.spec.transformer import Transformer

Spec = Mlp | ConvNet | Transformer
FAMILIES: dict[str, type[Mlp] | type[ConvNet] | type[Transformer]] = {
    "mlp": Mlp,
    "convnet": ConvNet,
    "transformer": Transformer,
}


def family_of(spec: Spec) -> str:
    """Return the family's name."""
    return next(name for name, kind in FAMILIES.items() if isinstance(spec, kind))


def check_fields(family: str, names: Iterable[str]) -> None:
    """Raise `SpecError`, with the nearest right field, for a name that is no field of the family."""
    known = [field.name for field in fields(FAMILIES[family])]
    for name in names:
        if name not in known:
            raise unknown_name("field", name, known)


def field_types(family: str) -> dict[str, tuple[type, bool]]:
    """Return each field's type (int, float, bool, str or tuple) and whether it may be None."""
    hints = get_type_hints(FAMILIES[family])
    return {field.name: _plain_type(hints[field.name]) for field in fields(FAMILIES[family])}


def _plain_type(hint: Any) -> tuple[type, bool]:
    choices = get_args(hint) if NoneType in get_args(hint) else (hint,)
    kind = next(choice for choice in choices if choice is not NoneType)
    return getattr(kind, "__origin__", kind), len(choices) > 1
