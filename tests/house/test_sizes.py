"""Files stay short enough to read, and functions short enough to hold in mind."""

import ast
from pathlib import Path

import pytest

import fathometer

SOURCE = Path(fathometer.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
FILE_LINES, FUNCTION_LINES, PARAMETERS = 250, 60, 8


def too_large(text: str) -> list[str]:
    """Return what is over a limit, each in a few words."""
    lines = len(text.splitlines())
    problems = [f"file: {lines} lines"] if lines > FILE_LINES else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            problems += function_problems(node)
    return problems


def function_problems(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return which limits a function is over."""
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    parameters = len([name for name in names if name not in ("self", "cls")])
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    found = [(lines, FUNCTION_LINES, "lines"), (parameters, PARAMETERS, "parameters")]
    return [f"{node.name}: {count} {unit}" for count, limit, unit in found if count > limit]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_a_file_and_its_functions_are_small(path: Path) -> None:
    """A file has at most 250 lines, a function at most 60 lines and 8 parameters, but for a command: its options are those."""
    problems = too_large(path.read_text(encoding="utf-8"))

    assert [problem for problem in problems if not (path.parent.name == "cli" and problem.endswith("parameters"))] == []


def test_what_is_too_large_is_seen() -> None:
    """A long file, a long function and a long list of parameters are each named, at one over the limit."""
    long_function = "def long():\n" + "    x = 1\n" * FUNCTION_LINES
    many = f"def many({', '.join('abcdefghi')}): ...\n"
    within = f"def within(self, {', '.join('abcdefgh')}): ...\n"
    text = long_function + many + within
    padding = "\n" * (FILE_LINES + 1 - len(text.splitlines()))

    assert too_large(text + padding) == ["file: 251 lines", "long: 61 lines", "many: 9 parameters"]
