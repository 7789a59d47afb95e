"""The files of the page, read once: no other file is ever served."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from fathometer.figures.theme import FONT, INKS, PALETTE

KINDS = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}


@dataclass(frozen=True)
class PageFile:
    """A file with its media type and a tag by which a browser knows whether it has changed."""

    content: bytes
    kind: str
    tag: str


def page_file(path: str) -> PageFile | None:
    """Return a file of the page by its name, the page itself for an empty one; None where there is none."""
    return _all().get(path or "index.html")


@cache
def _all() -> dict[str, PageFile]:
    found = {"inks.css": _made(_inks(), ".css")}
    for path in files("fathometer.lab").joinpath("static").iterdir():
        ending = "." + path.name.rpartition(".")[2]
        if ending in KINDS:
            found[path.name] = _made(path.read_bytes(), ending)
    return found


def _made(content: bytes, ending: str) -> PageFile:
    return PageFile(content, KINDS[ending], f'"{sha256(content).hexdigest()[:20]}"')


def _inks() -> bytes:
    """Return the inks and colours that the charts of the reports have, as a style sheet."""
    light, dark = INKS["light"], INKS["dark"]
    inks = "".join(f"--{name}:light-dark({light[name]},{dark[name]});" for name in light)
    palette = "".join(f"--line-{number}:{colour};" for number, colour in enumerate(PALETTE, 1))
    return f":root{{{inks}{palette}--sans:{FONT};}}\n".encode()
