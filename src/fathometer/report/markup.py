"""HTML that is escaped unless it was built here."""

import re
from collections.abc import Iterable
from html import escape


class Html(str):
    """Text that is already HTML; every other string is escaped on its way into an element."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str | bool | None) -> Html:
    """Return an element; a trailing underscore in an attribute's name falls away, other underscores become hyphens.

    >>> element("p", "a < b", class_="note", hidden=True)
    '<p class="note" hidden>a &lt; b</p>'
    """
    shown = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in ("meta", "link", "img"):
        return Html(f"<{name}{shown}>")
    return Html(f"<{name}{shown}>{join(children)}</{name}>")


def join(parts: Iterable[str], between: str = "") -> Html:
    """Return the parts one after another, each escaped unless it is HTML."""
    return Html(between.join(part if isinstance(part, Html) else escape(part, quote=False) for part in parts))


def inline(text: str) -> Html:
    """Return one line of prose, with what stands between backticks as code.

    >>> inline("call `fm.mend` & smile")
    'call <code>fm.mend</code> &amp; smile'
    """
    pieces = re.split(r"`([^`]+)`", text)
    return join([element("code", piece) if index % 2 else piece for index, piece in enumerate(pieces)])


def _attribute(key: str, value: str | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(value)}"'
