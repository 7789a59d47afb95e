"""The documentation in Chromium: from a folder, without a network, in both themes and down to a phone."""

from pathlib import Path

import pytest
from tests.house import site

pytestmark = pytest.mark.browser

ALLOWED = ("file:", "data:")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build the site once."""
    pytest.importorskip("sphinx", reason="sphinx is not installed: extra `docs`")
    folder = tmp_path_factory.mktemp("docs")
    done = site.build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def failed(request, heard):
    """Note what cannot be had; what a tab no longer waits for, since it has gone on to the next page, is not lost."""
    if "ERR_ABORTED" not in (request.failure or ""):
        heard.append(f"cannot have {request.url}")


@pytest.fixture
def open_tab(browser):
    """Return a function that opens a tab without a network, and a list of all it asks for and complains of."""
    contexts = []

    def opened(width=1280, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        contexts.append(context)
        tab, heard = context.new_page(), []
        tab.on("request", lambda request: request.url.startswith(ALLOWED) or heard.append(f"asks for {request.url}"))
        tab.on("requestfailed", lambda request: failed(request, heard))
        tab.on("console", lambda message: message.type in ("error", "warning") and heard.append(f"says {message.text}"))
        tab.on("pageerror", lambda problem: heard.append(f"fails: {problem}"))
        return tab, heard

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_every_page_opens_offline(built: Path, open_tab, width, scheme):
    """Each page opens from its file, asks for nothing beyond the folder, complains of nothing, and fits the window."""
    tab, heard = open_tab(width, scheme)
    pages = sorted(built.rglob("*.html"))
    too_wide = []
    for path in pages:
        tab.goto(path.as_uri())
        if tab.evaluate("document.documentElement.scrollWidth") > width:
            too_wide.append(path.name)

    assert len(pages) > 60
    assert heard == []
    assert too_wide == []


def test_a_foreign_request_is_heard(tmp_path, open_tab):
    """The control: a page that asks for a font elsewhere, or stumbles over its script, is caught."""
    page = tmp_path / "page.html"
    page.write_text('<link rel="stylesheet" href="https://example.org/font.css"><script>nothing.here()</script>')
    tab, heard = open_tab()

    tab.goto(page.as_uri())

    assert any("example.org" in one for one in heard)
    assert any(one.startswith("fails") for one in heard)


def test_search_finds_from_a_file(built: Path, open_tab):
    """A word that is typed into the search box leads to the page that explains it."""
    tab, heard = open_tab()
    tab.goto((built / "index.html").as_uri())
    tab.fill(".sidebar-search", "criticality")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("ul.search li a")

    links = [link.get_attribute("href") for link in tab.locator("ul.search li a").all()]

    assert any("theory/criticality.html" in link for link in links)
    assert heard == []


def test_formulas_take_the_colour_of_the_text(built: Path, open_tab):
    """In the dark theme a formula is light, and its width grows with the text around it."""
    inks = []
    for scheme in ("light", "dark"):
        tab, _ = open_tab(scheme=scheme)
        tab.goto((built / "theory" / "maps.html").as_uri())
        shape = tab.locator(".equation svg path").first
        inks.append(shape.evaluate("node => getComputedStyle(node).fill"))
        assert inks[-1] == tab.evaluate("getComputedStyle(document.querySelector('article p')).color")

    assert inks[0] != inks[1]


def test_code_is_copied_without_its_prompt(built: Path, open_tab):
    """The button by a command puts the command alone on the clipboard."""
    tab, _ = open_tab()
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.goto((built / "how-to" / "compare-depths.html").as_uri())
    box = tab.locator(".highlight-console").first
    box.hover()
    box.locator(".copy").click()
    tab.wait_for_function("() => document.querySelector('.highlight-console .copy').textContent === 'Copied'")

    assert tab.evaluate("navigator.clipboard.readText()").startswith("fathometer study depth-or-width")
