"""The code in the documents runs, and their tables are what the code says."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = runpy.run_path(str(Path(__file__).with_name("readme.py")))
DOCUMENTS = ("README.md", "CONTRIBUTING.md")


def blocks(text: str) -> list[tuple[int, str]]:
    """Return (line, code) for every block of Python in a Markdown text."""
    found = re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text[: match.start(1)].count("\n"), match[1]) for match in found]


def run(text: str, name: str) -> None:
    """Execute the blocks of a document one after another in one namespace."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    for line, code in blocks(text):
        # Newlines in front keep the document's line numbers in a traceback.
        exec(compile("\n" * line + code, name, "exec"), namespace)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_code_of_a_document_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block of Python in a document runs, in order, in an empty folder."""
    text = (ROOT / name).read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert blocks(text)
    run(text, name)


def test_a_block_that_fails_is_seen() -> None:
    """An error in a later block comes out with the document's line number."""
    text = "# A\n```python\nx = 1\n```\nWords.\n```python\nassert x == 2\n```\n"

    with pytest.raises(AssertionError) as caught:
        run(text, "A.md")

    assert caught.traceback[-1].lineno + 1 == 7


def test_no_number_is_still_to_come() -> None:
    """The README holds no placeholder for a number that was never measured."""
    assert "TODO" not in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("table", README["TABLES"])
def test_a_generated_table_is_up_to_date(table: str) -> None:
    """What stands between the markers is what `make readme` would write."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert README["between"](text, table).splitlines() == README["TABLES"][table]().splitlines()


def test_every_room_has_its_row() -> None:
    """The table of rooms has one row for each file and folder at the top of the package."""
    source = ROOT / "src" / "fathometer"
    rooms = {path.stem for path in source.glob("*.py")} | {path.parent.name for path in source.glob("*/__init__.py")}

    rows = re.findall(r"\| `(\w+)/?` \|", README["rooms_table"]())

    assert sorted(rows) == sorted(rooms - {"__init__", "__main__"})


def test_a_stale_table_is_written_anew() -> None:
    """Renewing replaces what stands between the markers, keeps the rest, and a second time changes nothing."""
    tables = "".join(f"<!-- {name}:begin -->\nstale row\n<!-- {name}:end -->\n" for name in README["TABLES"])
    text = f"before\n{tables}after\n"

    renewed = README["renew"](text)

    assert (renewed.startswith("before\n"), renewed.endswith("after\n"), "stale row" in renewed) == (True, True, False)
    assert README["renew"](renewed) == renewed


def test_a_lost_marker_is_seen() -> None:
    """A text without its markers is not left as it is in silence."""
    with pytest.raises(AssertionError, match="0 tables named rooms"):
        README["renew"]("before\n<!-- rooms:begin -->\nstale row\nafter\n")


@pytest.mark.parametrize("name", [*DOCUMENTS, "GLOSSARY.md", "JOURNAL.md", "CHANGELOG.md"])
def test_links_to_files_lead_somewhere(name: str) -> None:
    """A link to a file of the repository leads to a file that is there."""
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / name).read_text(encoding="utf-8"))

    assert [target for target in targets if not (ROOT / target).exists()] == []
