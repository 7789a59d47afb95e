"""Every file says what it is in one line; a folder's face defines nothing."""

import ast
from pathlib import Path

import pytest

import fathometer

SOURCE = Path(fathometer.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
ROOMS = [path for path in FILES if path.name == "__init__.py" and path.parent != SOURCE]


def name_of(path: Path) -> str:
    """Return a file's path inside the package."""
    return path.relative_to(SOURCE).as_posix()


def caption_problem(text: str) -> str | None:
    """Return what is wrong with a module's caption, or None."""
    caption = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    if not caption:
        return "no caption"
    if len(caption) > 70:
        return f"{len(caption)} characters"
    return None if caption.endswith((".", "?")) else "no full stop"


def definitions(text: str) -> list[str]:
    """Return what a face holds beside its caption, imports and `__all__`."""
    body = ast.parse(text).body[1:]
    return [ast.unparse(node) for node in body if not isinstance(node, ast.Import | ast.ImportFrom) and not is_all(node)]


def is_all(node: ast.stmt) -> bool:
    """Return whether a statement sets `__all__` and nothing else."""
    return isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_opens_with_a_one_line_caption(path: Path) -> None:
    """A file opens with a caption of at most 70 characters that is a sentence."""
    problem = caption_problem(path.read_text(encoding="utf-8"))

    assert problem is None


@pytest.mark.parametrize("path", ROOMS, ids=name_of)
def test_a_face_asks_the_question_that_its_room_answers(path: Path) -> None:
    """The caption of a folder's `__init__.py` ends with a question mark or a clause after one."""
    assert "?" in path.read_text(encoding="utf-8").partition("\n")[0]


@pytest.mark.parametrize("path", ROOMS, ids=name_of)
def test_a_face_defines_nothing(path: Path) -> None:
    """A folder's `__init__.py` holds a caption, imports and `__all__` alone."""
    assert definitions(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x = 1", "no caption"),
        (f'"""{"a" * 71}."""', "72 characters"),
        ('"""A caption"""', "no full stop"),
        ('"""Good."""', None),
    ],
)
def test_a_bad_caption_is_seen(text: str, problem: str | None) -> None:
    """A missing, long or unfinished caption is named."""
    assert caption_problem(text) == problem


def test_a_definition_in_a_face_is_seen() -> None:
    """A function or a constant in a face is named; imports and `__all__` are not."""
    text = '"""Which?"""\nfrom a import b\n__all__ = ["b"]\nLIMIT = 3\ndef f(): ...\n'

    assert definitions(text) == ["LIMIT = 3", "def f():\n    ..."]
