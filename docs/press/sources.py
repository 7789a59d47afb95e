"""What stands in a page: links that fit the site, and parts that are written now."""

import re
from collections.abc import Callable
from pathlib import Path
from posixpath import relpath

from sphinx.application import Sphinx

from press import commands, names, tables

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
# Documents of the repository's root that are pages here.
HOMES = {
    "README.md": "index.md",
    "GLOSSARY.md": "glossary.md",
    "JOURNAL.md": "journal.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
# <!-- written: NAME argument --> in a page is replaced by what the function returns when the site is built.
WRITERS: dict[str, Callable[[str], str]] = {
    "benchmark": tables.benchmark,
    "studies": tables.studies,
    "overview": tables.overview,
    "commands": commands.commands,
    "presets": commands.presets,
    "public": names.public,
    "floor": names.floor,
    "alerts": names.alerts,
    "papers": names.papers,
}
MARK = re.compile(r"^<!-- written: (\w+) ?(.*?) ?-->$", re.MULTILINE)
LINK = re.compile(r"(\]\()((?!https?:|#|mailto:)[^)\s#]+)((?:#[^)\s]*)?\))")
FENCE = re.compile(r"^(```+).*?^\1", re.MULTILINE | re.DOTALL)
CAUSES = "\n```{toctree}\n:hidden:\n:glob:\n\n*\n```\n"


def read_source(app: Sphinx, docname: str, content: list[str]) -> None:
    """Write a page's generated parts, and turn its links."""
    content[0] = with_links(written(content[0]), (DOCS / docname).parent)
    if docname == "causes/README":
        content[0] += CAUSES


def read_include(app: Sphinx, path: Path, docname: str, content: list[str]) -> None:
    """Turn the links of a document that a page includes."""
    content[0] = with_links(content[0], (DOCS / path).resolve().parent)


def written(text: str) -> str:
    """Return a page with what its markers ask for in their place."""
    return MARK.sub(lambda found: WRITERS[found[1]](found[2]), text)


def with_links(text: str, home: Path) -> str:
    """Return a text that stands in `home` with links that hold anywhere in the site; code is left as it is."""
    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [LINK.sub(lambda found: turned(found, home), text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, LINK.sub(lambda found: turned(found, home), text[end:])])


def turned(found: re.Match[str], home: Path) -> str:
    """Return one link: to a page of the site where there is one, else to the file itself, which the site then brings along."""
    if found[2].startswith("/"):
        return found[0]
    target = (home / found[2]).resolve()
    name = relpath(target, ROOT)
    target = DOCS / HOMES[name] if name in HOMES else target
    return f"{found[1]}/{relpath(target, DOCS)}{found[3]}"


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx to read sources through here."""
    app.connect("source-read", read_source)
    app.connect("include-read", read_include)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
