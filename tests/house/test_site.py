"""The documentation builds without a warning, leads nowhere that is not there, and loads nothing."""

import re
from pathlib import Path

import pytest
from tests.house import site

import fathometer
from fathometer.cli.main import COMMANDS

DOCS = site.ROOT / "docs"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site once."""
    pytest.importorskip("sphinx", reason="sphinx is not installed: extra `docs`")
    folder = tmp_path_factory.mktemp("docs")
    done = site.build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


@pytest.mark.slow
def test_the_site_holds_together(built: Path) -> None:
    """No link within the site is broken, nothing is loaded from elsewhere, and each image has words."""
    pages = site.read(built)

    assert len(pages) > len(list(DOCS.rglob("*.md")))
    assert site.problems(pages) == []


@pytest.mark.slow
def test_formulas_are_drawn_and_say_their_tex(built: Path) -> None:
    """No formula is left as TeX, none needs a script, and each has a label."""
    pages = site.read(built)
    theory = [page for path, page in pages.items() if path.parent.name == "theory"]
    loads = {load for page in pages.values() for load in page.loads}

    assert sum(len(page.labels) for page in theory) > 100
    assert all(label for page in pages.values() for label in page.labels)
    assert [load for load in loads if "math" in load.lower() or "tex" in load.lower()] == []


@pytest.mark.slow
def test_the_reference_holds_every_public_name_and_command(built: Path) -> None:
    """Each public name has its anchor, each command its section, and search knows them."""
    pages = site.read(built)
    public, commands = (pages[built / "reference" / f"{name}.html"].anchors for name in ("public", "commands"))

    assert {f"fathometer.{name}" for name in fathometer.__all__ if name != "__version__"} <= public
    assert set(COMMANDS) <= commands
    assert "preflight" in (built / "searchindex.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda path: path.relative_to(DOCS).as_posix())
def test_links_of_the_sources_lead_somewhere(path: Path) -> None:
    """The fast half: a link to a file, as it stands in a page, leads to a file of the repository."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)

    assert [target for target in targets if not (path.parent / target).exists()] == []
    assert re.findall(r"^# ", text, re.MULTILINE) or "include" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("html", "seen"),
    [
        ('<a href="there.html#part">', 0),
        ('<a href="there.html#nowhere">', 1),
        ('<a href="gone.html">', 1),
        ('<a href="https://example.org">', 0),
        ('<script src="https://example.org/a.js"></script>', 1),
        ('<link rel="stylesheet" href="//example.org/a.css">', 1),
        ('<img src="there.html" alt="">', 0),
        ('<img src="there.html">', 1),
    ],
)
def test_a_broken_page_is_seen(html: str, seen: int, tmp_path: Path) -> None:
    """The control: a lost page, a lost anchor, a foreign script or style, and an image without words are each named."""
    (tmp_path / "there.html").write_text('<h1 id="part">')
    (tmp_path / "here.html").write_text(html)

    assert len(site.problems(site.read(tmp_path))) == seen


@pytest.mark.slow
def test_a_link_to_nowhere_stops_the_build(tmp_path: Path) -> None:
    """The control: a page with a lost link, or a formula that is no TeX, does not build."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "conf.py").write_text(
        f"import sys\nsys.path[:0] = [{str(DOCS)!r}]\n"
        'extensions = ["myst_parser", "press.equations"]\nmyst_enable_extensions = ["dollarmath"]\nhtml_math_renderer = "drawn"\n'
    )
    for text, works in (("# A\n\n$x_1$", True), ("# A\n\n[lost](nowhere.md)", False), ("# A\n\n$\\frac{1}{$", False)):
        (tmp_path / "docs" / "index.md").write_text(text)
        assert (site.build(tmp_path, tmp_path / "docs").returncode == 0) is works, text
