"""The examples are short, numbered without gaps, run as they are, and print what the tutorials show."""

import ast
from pathlib import Path

import pytest
from tests.house.documents import PRINTED, example, same

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
LINES = 60


def test_examples_are_numbered_without_gaps() -> None:
    """The examples are 01_…, 02_… and so on, at least one."""
    assert EXAMPLES
    assert [path.name[:3] for path in EXAMPLES] == [f"{number:02}_" for number in range(1, len(EXAMPLES) + 1)]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_what_it_shows(path: Path) -> None:
    """An example has at most 60 lines and opens with a docstring."""
    text = path.read_text(encoding="utf-8")

    assert len(text.splitlines()) <= LINES
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path, tmp_path: Path) -> None:
    """An example runs in an empty folder, ends well, and says what its tutorial shows, but for the digits."""
    result = example(path, tmp_path)

    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()
    assert same((PRINTED / f"{path.stem}.txt").read_text(encoding="utf-8"), result.stdout, exact=False), result.stdout


def test_an_example_that_fails_is_seen(tmp_path: Path) -> None:
    """A script that raises does not end well."""
    script = tmp_path / "01_fails.py"
    script.write_text("raise SystemExit(3)")

    assert example(script, tmp_path).returncode == 3
