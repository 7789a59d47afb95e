"""The parametrizations by name: one function, one line here."""

from fathometer.errors import unknown_name
from fathometer.parametrizations.classic import he, lecun, orthogonal, pytorch, xavier
from fathometer.parametrizations.fixup import fixup
from fathometer.parametrizations.roles import Parametrization

PARAMETRIZATIONS: dict[str, Parametrization] = {
    "pytorch": pytorch,
    "lecun": lecun,
    "xavier": xavier,
    "he": he,
    "orthogonal": orthogonal,
    "fixup": fixup,
}


def find_parametrization(name: str) -> Parametrization:
    """Return the parametrization of that name, or raise with the nearest right one."""
    if name not in PARAMETRIZATIONS:
        raise unknown_name("initialisation", name, PARAMETRIZATIONS)
    return PARAMETRIZATIONS[name]
