"""The public face is what it says: it resolves, is documented, and hides nothing."""

import doctest
import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import fathometer
from fathometer import preset

SOURCE = Path(fathometer.__file__).parent
FOLDERS = sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))
WORDS = ["activations", "depth_profile", "errors", "json_text", "records"]
NO_ROOMS = {"utils", "util", "common", "misc", "helpers", "base", "core", "tools"}


def exposed(module: ModuleType) -> set[str]:
    """Return the names that a room hands on: no underscore, and no file of its own."""
    return {name for name, value in vars(module).items() if not name.startswith("_") and not isinstance(value, ModuleType)}


def documentable(module: ModuleType) -> dict[str, object]:
    """Return the functions and classes that a room hands on and that were written in this package."""
    found = {name: getattr(module, name) for name in sorted(exposed(module))}
    return {
        name: value
        for name, value in found.items()
        if (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__.startswith("fathometer")
    }


def docstring_problem(value: object) -> str | None:
    """Return what is wrong with the first line of a docstring, or None."""
    first = (inspect.getdoc(value) or "").partition("\n")[0]
    if not first or first.startswith(f"{getattr(value, '__name__', '')}("):
        return "no docstring"
    if not first.endswith("."):
        return f"the first line is not a sentence: {first}"
    # A second sentence may only be a reference, such as "Saxe et al. 2014."
    more = re.sub(r"et al\.|\b[A-Z]\.", "", first[:-1])
    return f"more than one sentence: {first}" if re.search(r"[.?!] [A-Z](?!.*\d{4})", more) else None


NAMES = [name for name in fathometer.__all__ if name != "__version__"]


def has_session(value: object) -> bool:
    """Return whether a docstring shows what is typed and what comes out."""
    return any(example.want for example in doctest.DocTestParser().get_examples(inspect.getdoc(value) or ""))


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_shows_a_session(name: str) -> None:
    """Each public docstring has a session; `test_documents.py` runs it."""
    assert has_session(getattr(fathometer, name))


def test_a_missing_session_is_seen() -> None:
    """The control: words alone are no session, nor is a line that shows nothing."""

    def words() -> None:
        """Return words."""

    def silent() -> None:
        """Return nothing to see.

        >>> 1
        """

    assert not has_session(words)
    assert not has_session(silent)
    assert has_session(preset)


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_resolves_and_is_documented(name: str) -> None:
    """A name of the public face can be had, and its docstring begins with one sentence."""
    assert docstring_problem(getattr(fathometer, name)) is None


def test_the_face_lists_itself() -> None:
    """`dir(fathometer)` is `__all__`, and an unknown name is an AttributeError."""
    assert dir(fathometer) == sorted(fathometer.__all__)
    with pytest.raises(AttributeError, match="nothing_here"):
        fathometer.nothing_here  # noqa: B018  the access itself is what is tested


@pytest.mark.parametrize("room", FOLDERS)
def test_a_room_exposes_exactly_what_it_lists(room: str) -> None:
    """`__all__` of a folder equals the names that can be had from it."""
    module = import_module(f"fathometer.{room}")

    assert exposed(module) == set(module.__all__)


@pytest.mark.parametrize("room", [*FOLDERS, *WORDS])
def test_what_a_room_hands_on_is_documented(room: str) -> None:
    """Each function and class that a room hands on begins its docstring with one sentence."""
    names = documentable(import_module(f"fathometer.{room}"))

    assert {name: problem for name, value in names.items() if (problem := docstring_problem(value))} == {}


def test_no_room_is_named_after_nothing() -> None:
    """No file or folder is called utils, common, misc, helpers or base."""
    parts = {path.stem for path in SOURCE.rglob("*.py")} | {path.parent.name for path in SOURCE.rglob("*.py")}

    assert parts & NO_ROOMS == set()


def test_a_missing_docstring_is_seen() -> None:
    """No docstring, half a sentence and two sentences are each named; one sentence is silence."""

    def bare() -> None: ...

    def half() -> None:
        """Return half"""

    def two() -> None:
        """Return one. Return another."""

    def one() -> None:
        """Return one, as in Saxe et al. 2014."""

    problems = [(docstring_problem(value) or "").partition(":")[0] for value in (bare, half, two, one)]

    assert problems == ["no docstring", "the first line is not a sentence", "more than one sentence", ""]
