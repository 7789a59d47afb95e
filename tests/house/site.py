"""Build the documentation's site, and read what was built."""

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[2]
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "object": "data"}


def build(folder: Path, docs: Path = ROOT / "docs") -> subprocess.CompletedProcess[str]:
    """Build the site in `folder`/site; every warning is an error, as `make docs` has it."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", str(folder / "trees")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*command, str(docs), str(folder / "site")], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400
    )


class Page(HTMLParser):
    """One page as it was built: where it leads, what it loads, its anchors, and what a formula says to who cannot see it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links, self.loads, self.anchors = list[str](), list[str](), set[str]()
        self.labels, self.bare_images = list[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors.update(given[name] for name in ("id", "name") if name in given)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and "href" in given and given.get("rel") not in ("index", "search", "next", "prev"):
            self.loads.append(given["href"])
        elif given.get(LOADS.get(tag, "")):
            self.loads.append(given[LOADS[tag]])
        if "equation" in given.get("class", ""):
            self.labels.append(given.get("aria-label", ""))
        if tag == "img" and "alt" not in given:
            self.bare_images.append(given.get("src", ""))


def read(site: Path) -> dict[Path, Page]:
    """Return every page of a site."""
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}


def problems(pages: dict[Path, Page]) -> list[str]:
    """Return every link that leads nowhere, and everything that a page would load from elsewhere."""
    found = []
    for path, page in pages.items():
        found += [f"{path.name} loads {load}" for load in page.loads if not is_there(path, load, None)]
        found += [f"{path.name} leads to {link}" for link in page.links if is_ours(link) and not is_there(path, link, pages)]
        found += [f"{path.name} has an image without words: {image}" for image in page.bare_images]
    return found


def is_ours(link: str) -> bool:
    """Return whether a link stays within the site."""
    return urlsplit(link).scheme in ("", "file", "data")


def is_there(path: Path, link: str, pages: dict[Path, Page] | None) -> bool:
    """Return whether what a page names is a file beside it, and its anchor there where `pages` are given."""
    parts = urlsplit(link)
    if parts.scheme == "data":
        return True
    if parts.scheme or parts.netloc:
        return False
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return False
    return pages is None or not parts.fragment or target.suffix != ".html" or unquote(parts.fragment) in pages[target].anchors
