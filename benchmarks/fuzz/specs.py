"""Specs: tables, TOML files and preset names, most of them wrong."""

from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st

from benchmarks.fuzz.kind import Kind, answer, is_count, is_number
from benchmarks.fuzz.values import NUMBERS, UNPRINTABLE, WORDS, nested, odd_values
from fathometer.spec import FAMILIES, PRESETS, Spec, load_spec, preset, spec_from_dict, spec_to_dict, spec_to_toml
from fathometer.spec.changes import OFF
from fathometer.spec.families import family_of, field_types

FIELDS = sorted({field.name for kind in FAMILIES.values() for field in fields(kind)})
RIGHT: dict[type, tuple[Any, ...]] = {
    int: (1, 2, 3, 8, 20, 64),
    float: (0.5, 1, 2.0),
    bool: (True, False),
    str: (
        "relu",
        "gelu",
        "he",
        "lecun",
        "mup",
        "none",
        "plain",
        "pre-norm",
        "layer",
        "rms",
        "batch",
        "cifar",
        "basic",
        "A",
        "rope",
    ),
    tuple: ([3, 3, 3], [2, 2, 2, 2], (1, 1, 1)),
}
SHORT = ["mlp-5", "he-50", "resnet-20", "gpt2", "gpt3-175b", "llama3-8b"]
ODD = odd_values(numbers=NUMBERS | UNPRINTABLE)


@st.composite
def changes(draw: st.DrawFn, family: str, odd: st.SearchStrategy[Any] = ODD) -> dict[str, Any]:
    """Draw fields of a family, most of them with something of the right kind."""
    table, types = dict[str, Any](), field_types(family)
    for name in draw(st.lists(st.sampled_from(list(types)), max_size=4, unique=True)):
        kind, optional = types[name]
        right = st.sampled_from((*RIGHT[kind], *((OFF, None) if optional else ())))
        table[name] = draw(right if draw(st.integers(0, 4)) else odd)
    return table


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a table as a spec file or a notebook might hold it."""
    base = draw(st.sampled_from(SHORT) | st.none())
    family = draw(st.sampled_from(list(FAMILIES))) if base is None else family_of(preset(base))
    table = draw(changes(family)) | ({"family": family} if base is None else {"preset": base})
    if draw(st.integers(0, 5)) == 0:
        table[draw(st.sampled_from([*FIELDS, "family", "preset"]) | WORDS)] = draw(ODD)
    return table


def check_table(table: dict[str, Any]) -> bool:
    """Raise unless a table is a network that is what the table says, or is refused in words."""
    spec = answer(lambda: spec_from_dict(table))
    if spec is None:
        return False
    check_spec(spec)
    for name, value in table.items():
        if name not in ("family", "preset"):
            assert same(getattr(spec, name), value), f"`{name}` was {value!r} and is {getattr(spec, name)!r}"
    return True


def check_spec(spec: Spec) -> None:
    """Raise unless each field is of its type, finite and of a size that can be, and the spec survives being written."""
    for name, (kind, optional) in field_types(family_of(spec)).items():
        value = getattr(spec, name)
        fits = {
            int: is_count(value),
            float: is_number(value) and isinstance(value, float | int) and value >= 0,
            bool: isinstance(value, bool),
            str: isinstance(value, str),
            tuple: isinstance(value, tuple) and all(map(is_count, value)),
        }[kind]
        assert fits or (optional and value is None), f"`{name}` is {value!r}"
    assert spec_from_dict(spec_to_dict(spec)) == spec
    with TemporaryDirectory() as folder:
        path = Path(folder) / "net.toml"
        path.write_text(spec_to_toml(spec), encoding="utf-8")
        assert load_spec(path) == spec


def same(found: Any, given: Any) -> bool:
    """Return whether a spec holds what was given: a list as a tuple, "off" as None, a whole number where a number is asked."""
    if given == OFF:
        return found is None
    given = tuple(given) if isinstance(given, list) else given
    return found == given and isinstance(found, bool) == isinstance(given, bool)


@st.composite
def names(draw: st.DrawFn) -> str:
    """Draw a preset's name with changes, most of them right."""
    base = draw(st.sampled_from(SHORT))
    parts = [f"{name}={value}" for name, value in draw(changes(family_of(preset(base)), odd_values(0))).items()]
    name = base + "@" * bool(parts) + ",".join(parts)
    if draw(st.integers(0, 3)):
        return name
    at = draw(st.integers(0, len(name)))
    return name[:at] + draw(WORDS | st.text(max_size=3)) + name[at:]


def check_name(name: str) -> bool:
    """Raise unless a preset's name is a network, or is refused; a number is one only in the digits of a keyboard."""
    spec = answer(lambda: preset(name))
    if spec is not None:
        check_spec(spec)
        assert name.isascii(), "digits of another script were read as a number"
        assert name in PRESETS or "@" in name
    return spec is not None


PIECES = [
    "family = 'mlp'\n",
    "preset = 'gpt2'\n",
    "depth = 3\n",
    "width = 0x",
    "f" * 40,
    "1" * 5000,
    "\n",
    "[[",
    "]]",
    "{",
    "= ",
    "nan",
]
TEXTS = (
    st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=6)
    .map("".join)
    .map(lambda text: text.encode(errors="replace"))
    | st.binary(max_size=20)
    | st.integers(1, 4).map(lambda power: f"width = {nested('[', ']', 10**power)}".encode())
    | st.integers(1, 4).map(lambda power: f"width = {nested('{a=', '}', 10**power)}".encode())
)


def check_file(content: bytes) -> bool:
    """Raise unless a file is a spec, or is refused in words."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "net.toml"
        path.write_bytes(content)
        spec = answer(lambda: load_spec(path))
    if spec is not None:
        check_spec(spec)
    return spec is not None


PINNED_TABLES = (
    {"family": "mlp", "\n": 1},  # an error of two lines
    {"family": 16**5000},  # a number that cannot be printed
    {"family": "mlp", "width": 16**5000},
    {"family": "mlp", "width": 10**400},  # accepted, and no machine could hold a layer of it
    {"family": "mlp", "gain": 10**400},  # accepted as finite, and no float
    {"family": "transformer", "rope_base": 10**400},
    {"preset": 3},
    {"preset": "gpt2", "width": 10**400},  # too large to keep its proportions
    {"preset": "llama3-8b", "width": 64, "heads": 16**5000},
    {"preset": "gpt2", "branch_scale": 1e308},  # as large as a number may be
)
PINNED_NAMES = (
    "mlp-5activation=\n",
    "mlp-5@depth=\u0663",  # an Arabic digit, which Python reads
    "resnet-20@stages=\u0663-3-3",
    "mlp-5@depth=3,depth=4",  # the last one won
)
KINDS = (
    Kind("spec table", tables(), check_table, 200, 60, PINNED_TABLES),
    Kind("preset name", names(), check_name, 200, 60, PINNED_NAMES),
    Kind("spec file", TEXTS, check_file, 100, 25, (f"width = {nested('[', ']', 9000)}".encode(), b"width = 0x" + b"f" * 5000)),
)
