"""The reference of all names, from the code itself."""

from importlib import import_module
from inspect import isclass, isfunction, ismodule
from pathlib import Path

from tests.house.readme import FLOOR_BEGINS, caption, layers

import fathometer
from fathometer.diagnosis import ALERTS
from fathometer.finding import CITATIONS

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "fathometer"


def public(_: str = "") -> str:
    """Return the reference of every name that `import fathometer` gives: what is called first, then what is handed over."""
    names = [name for name in sorted(fathometer.__all__) if name != "__version__"]
    parts = {"What you call": isfunction, "What you hand in, and what comes back": isclass}
    sections = [
        "\n\n".join(
            [f"## {title}", *(f"### {name}\n\n{entry('fathometer', name)}" for name in names if kind(getattr(fathometer, name)))]
        )
        for title, kind in parts.items()
    ]
    return "\n\n".join(sections)


def floor(name: str) -> str:
    """Return the reference of all rooms of a floor, room by room."""
    return "\n\n".join(room(one) for one in rooms(name))


def rooms(floor: str) -> list[str]:
    """Return the rooms of a floor, from the top down."""
    found, here = [], ""
    for row in layers((ROOT / "pyproject.toml").read_text(encoding="utf-8")):
        here = next((FLOOR_BEGINS[room] for room in row if room in FLOOR_BEGINS), here)
        found += [room for room in row if here == floor and is_room(room)]
    return found


def is_room(name: str) -> bool:
    """Return whether a room of the contract is there."""
    return (SOURCE / name / "__init__.py").exists() or (SOURCE / f"{name}.py").exists()


def room(name: str) -> str:
    """Return a room's section: its question, and each name that it hands on."""
    module = import_module(f"fathometer.{name}")
    handed = sorted(getattr(module, "__all__", None) or own(module))
    parts = [f"(room-{name})=\n## {name}", caption(SOURCE / name)]
    known = [f"{{py:obj}}`fathometer.{one}`" for one in handed if one in fathometer.__all__ and one != name]
    if known:
        parts.append(f"On the [public face](public.md): {', '.join(known)}.")
    return "\n\n".join([*parts, *(entry(module.__name__, one) for one in handed if one not in fathometer.__all__)])


def own(module: object) -> list[str]:
    """Return the functions and classes that a file defines."""
    mine = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    return [n for n, v in mine.items() if (isfunction(v) or isclass(v)) and v.__module__ == module.__name__]


def entry(home: str, name: str) -> str:
    """Return the directive that writes one name's reference."""
    value = getattr(import_module(home), name)
    assert not ismodule(value)
    if isclass(value):
        lines = [f".. autoclass:: {home}.{name}", "   :members:"]
    elif isfunction(value):
        lines = [f".. autofunction:: {home}.{name}"]
    else:
        lines = [f".. py:data:: {home}.{name}", "", f"   {what(value)}"]
    return "\n".join(["```{eval-rst}", *lines, "```"])


def what(value: object) -> str:
    """Return what a name that is neither function nor class stands for: the words of a catalogue, or the value itself."""
    if isinstance(value, dict | tuple):
        return f"One of {', '.join(f'``{key}``' for key in value)}."
    parts = getattr(value, "__args__", None)
    if parts:
        return f"One of {', '.join(f'``{name_of(part)}``' for part in parts)}."
    return f"``{value}``"


def name_of(part: object) -> object:
    """Return the name of a type, or a word as it is."""
    return getattr(part, "__name__", part)


def alerts(_: str = "") -> str:
    """Return a table of what a watch may say."""
    lines = ["| alert | it means | what to do | when not to believe it |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| `{name}` | {kind.title} | {kind.advice} | {kind.doubt} |" for name, kind in ALERTS.items())])


def papers(_: str = "") -> str:
    """Return every paper that a rule, a remedy or a formula cites."""
    return "\n".join(f"- {words}" for words in sorted(CITATIONS.values()))
