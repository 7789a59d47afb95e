"""The code in the documentation runs, and prints what the pages say."""

import ast
import doctest
import inspect
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from tests.house import documents

import fathometer

PAGES = documents.pages()
# A hundred billion parameters, or a Trainer of somebody else's, take their time.
SLOW = tuple(
    f"how-to/{name}.md"
    for name in ("full-size", "watch", "stays-at-chance", "apply-a-fix", "diverges", "continuous-integration", "compare-depths")
)
TOCTREE = r"^```\{toctree\}\n((?:[^`\n]*\n)*)^```$"
ROOMS = sorted(path.parent.name for path in Path(fathometer.__file__).parent.glob("*/__init__.py"))


def name_of(path: Path) -> str:
    """Return a page's path inside the documentation."""
    return path.relative_to(documents.DOCS).as_posix()


def mismatches(text: str, page: str, exact: bool) -> list[str]:
    """Return the blocks of a page that do not show what they print."""
    pairs = documents.follow(text, page)
    return [f"line {block.line}: {now.code}" for block, now in pairs if not documents.same(block.code, now.code, exact)]


@pytest.mark.parametrize(
    "page", [pytest.param(path, id=name_of(path), marks=[pytest.mark.slow] * (name_of(path) in SLOW)) for path in PAGES]
)
def test_the_code_of_a_page_runs_and_prints_what_is_shown(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block of a page is run in order in an empty folder; of what it prints, each word is on the page."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    assert mismatches(page.read_text(encoding="utf-8"), name_of(page), documents.EXACT in page.parts) == []


@pytest.mark.parametrize("name", [name for name in fathometer.__all__ if name != "__version__"])
def test_a_session_in_the_reference_is_right(name: str) -> None:
    """What stands behind >>> in a public docstring comes out as it says."""
    home = import_module(fathometer._PUBLIC[name])
    assert failures(getattr(home, name)) == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_session_in_a_room_is_right(room: str) -> None:
    """The same for all that a room hands on."""
    module = import_module(f"fathometer.{room}")
    handed = [getattr(module, name) for name in module.__all__ if name not in fathometer.__all__]
    ours = [value for value in handed if inspect.isfunction(value) or inspect.isclass(value)]

    assert [problem for value in ours for problem in failures(value)] == []


def failures(value: object) -> list[str]:
    """Return what goes wrong in the sessions of a docstring and of those of a class's methods."""
    found: list[str] = []
    home = sys.modules[value.__module__].__dict__
    for test in doctest.DocTestFinder().find(value, getattr(value, "__name__", ""), globs=dict(home)):
        torch.manual_seed(0)
        doctest.DocTestRunner().run(test, out=found.append)
    return found


def test_every_example_has_its_page() -> None:
    """A tutorial shows each example, and what it printed."""
    text = "".join(path.read_text(encoding="utf-8") for path in (documents.DOCS / "tutorials").glob("*.md"))

    for path in sorted(documents.EXAMPLES.glob("*.py")):
        assert f"../../examples/{path.name}" in text
        assert f"printed/{path.stem}.txt" in text
        assert (documents.PRINTED / f"{path.stem}.txt").stat().st_size
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_every_page_can_be_reached() -> None:
    """Each page stands in one table of contents."""
    listed = []
    for path in documents.DOCS.rglob("*.md"):
        for names in re.findall(TOCTREE, path.read_text(encoding="utf-8"), re.MULTILINE):
            listed += [(path.parent / f"{name}.md").resolve() for name in names.splitlines() if name and name[0] != ":"]

    pages = {path for path in documents.DOCS.rglob("*.md") if path.parent.name != "causes"} | {
        documents.DOCS / "causes/README.md"
    }
    assert sorted(listed) == sorted(pages - {documents.DOCS / "index.md"})


RIGHT = "```python\nprint(3 * 2)\n```\n\n```text\n6\n```\n"


@pytest.mark.parametrize(
    ("text", "exact", "seen"),
    [
        (RIGHT, True, 0),
        (RIGHT.replace("\n6", "\n7"), True, 1),
        (RIGHT.replace("\n6", "\n7"), False, 0),
        (RIGHT.replace("\n6", "\nsix"), False, 1),
        (RIGHT.replace("\n6", "\n…"), True, 0),
        ("```console\n$ fathometer presets\nnothing\n```\n", False, 1),
        ("```console\n$ fathometer presets\n\nMultilayer perceptrons\n…\n```\n", False, 0),
    ],
    ids=["right", "wrong digit", "digit of a measurement", "wrong word", "cut short", "wrong answer", "answer cut short"],
)
def test_a_wrong_output_is_seen(text: str, exact: bool, seen: int) -> None:
    """A page that shows what is not printed is caught; digits of measurements may differ."""
    assert len(mismatches(text, "page.md", exact)) == seen


@pytest.mark.parametrize(
    "text",
    [
        "```python\nassert False\n```\n",
        "```text\nout of nowhere\n```\n",
        "```cobol\nSTOP RUN.\n```\n",
        "```toml\nname = 3\n```\n",
        "```{code-block} toml\n:caption: a.toml\nname = = 3\n```\n",
        "```console\n$ fathometer preflight mlp-5 --no-such-option\n```\n",
        "```console\n$ fathometer presets   # exit code 1\n```\n",
        "```console\n$ make no-such-target\n```\n",
        "```console\n$ pip install 'fathometer[nothing]'\n```\n",
        "```console\n$ frobnicate\n```\n",
        "```console\n$ fathometer study no-such-study   # some minutes\n```\n",
    ],
    ids=["raises", "orphan", "language", "no name", "no toml", "option", "exit code", "target", "extra", "stranger", "study"],
)
def test_code_that_does_not_work_is_seen(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: each kind of block that is wrong fails the test of its page."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises((AssertionError, ValueError)):
        documents.follow(text, "page.md")


def test_writing_anew_changes_outputs_alone() -> None:
    """`python -m tests.house.documents` puts in what is printed, keeps the rest, and a second time changes nothing."""
    text = f"# A\n\n{RIGHT.replace(chr(10) + '6', '')}\nWords.\n"

    written = documents.renewed(text, "page.md")

    assert written == f"# A\n\n{RIGHT}\nWords.\n"
    assert documents.renewed(written, "page.md") == written
