"""One self-contained HTML page that asks nothing of any network."""

import itertools
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path

from fathometer.figures.theme import FONT, INKS
from fathometer.files import write
from fathometer.report.blocks import BLOCKS
from fathometer.report.markup import Html, element, join
from fathometer.report.references import cited, reference_list
from fathometer.report.sections import Charts, Section

# The page's mark, a pulse going down. As an icon it is a data address, so that a browser asks for no other.
LONG = 48  # letters of a title, from which on it is set smaller
_MARK = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32' fill='none' stroke='#D9622B' stroke-width='3' "
    "stroke-linecap='round' aria-hidden='true'>"
    "<path d='M16 3v4M10 13a8 8 0 0 0 12 0M6 19a13 13 0 0 0 20 0M2 25a18 18 0 0 0 28 0'/></svg>"
)


@dataclass(frozen=True)
class Page:
    """A report: its title, its sections in order, and a last line (what it was made with).

    The papers cited by findings and remedies are listed at the end by themselves; `citations` adds those of the prose.
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    footer: str = "Made with Fathometer. Nothing on this page was fetched from anywhere."
    citations: tuple[str, ...] = ()


def render(page: Page) -> str:
    """Return the page as HTML: one text with its style, its scripts and its charts."""
    numbers = itertools.count(1)
    blocks = [BLOCKS[type(section)](section, numbers) for section in page.sections]
    drawn = any(isinstance(section, Charts) for section in page.sections)
    scripts = [*([vega()] if drawn else []), _own("page.js")]
    main = element("main", *blocks, reference_list(cited(page.sections, page.citations)))
    body = element("body", _header(page), main, _footer(page), *(element("script", Html(script)) for script in scripts))
    return "<!doctype html>\n" + element("html", _head(page.title, scripts), body, lang="en")


def framed(page: Page) -> str:
    """Return the page inside a frame of its own, as a notebook shows it."""
    text = escape(render(page), quote=True)
    return (
        f'<iframe srcdoc="{text}" title="{escape(page.title, quote=True)}" width="100%" height="640" style="border:0"></iframe>'
    )


def save(page: Page, path: str | Path) -> Path:
    """Write the page as one HTML file and return its path; raise `TargetError` where it cannot be written."""
    return write(path, render(page))


@cache
def vega() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script that needs no network (they come with vl-convert)."""
    import vl_convert

    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    assert "</script" not in script.lower(), "the bundle would end its own element"
    assert "<!--" not in script, "the bundle would open a comment in its own element"
    return script


def security_policy(scripts: list[str]) -> str:
    """Return a policy that lets the page's own scripts run, by their hashes, and forbids every request."""
    hashes = " ".join(f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts)
    # Vega sets styles from its script. It needs no 'unsafe-eval': its expressions run in an interpreter.
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _head(title: str, scripts: list[str]) -> Html:
    icon = "data:image/svg+xml," + _MARK.replace("#", "%23").replace("<", "%3C").replace(">", "%3E")
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=security_policy(scripts)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("link", rel="icon", href=icon),
        element("title", title),
        element("style", Html(_style())),
    )


def _style() -> str:
    """Return the page's style, opening with the inks that the charts share."""
    light, dark = INKS["light"], INKS["dark"]
    inks = "".join(f"--{name}:light-dark({light[name]},{dark[name]});" for name in light)
    return f":root{{{inks}--sans:{FONT};}}\n{_own('page.css')}"


def _header(page: Page) -> Html:
    brand = element("span", Html(_MARK), "Fathometer", class_="brand")
    toggle = element("button", "Dark", type="button", id="theme", hidden=True, title="Switch between light and dark")
    titles = _heading(page.title), element("p", page.subtitle, class_="subtitle")
    return element("header", element("div", brand, toggle, class_="top"), *titles)


def _heading(title: str) -> Html:
    """Return the title as a heading; a long one is set smaller, and a network's name breaks behind its commas."""
    parts = title.replace("@", "@\0").replace(",", ",\0").split("\0")
    return element("h1", join(parts, "<wbr>"), class_="long" if len(title) > LONG else None)


def _footer(page: Page) -> Html:
    return element("footer", element("p", page.footer))


def _own(name: str) -> str:
    return files("fathometer.report").joinpath(name).read_text(encoding="utf-8")
