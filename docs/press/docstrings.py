"""Docstrings as we write them, made ready for Sphinx."""

import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
SIGNATURE = re.compile(r'<dt class="sig .*?</dt>', re.DOTALL)
LIST = re.compile(r"<(/?)(dl|dd)>")
SPECIAL = re.compile(r"([*|\\]|_(?!\w))")


def plain(text: str) -> str:
    """Return a docstring as reStructuredText: code in double backticks, and nothing else means anything but itself."""
    return "\n\n".join(paragraph(part) for part in re.split(r"\n\s*\n", text))


def paragraph(text: str) -> str:
    """Return one paragraph; sessions are left as they are, trees and bullets keep their lines."""
    if text.lstrip().startswith(">>>"):
        return text
    if "├" in text or "└" in text:
        return "\n".join(["::", "", *("   " + line for line in text.splitlines())])
    parts, end = [], 0
    for code in CODE.finditer(text):
        parts += [SPECIAL.sub(r"\\\1", text[end : code.start()]), f"``{' '.join(code[2].split())}``"]
        end = code.end()
        if text[end : end + 1].isalnum():
            parts.append("\\ ")
    return "".join([*parts, SPECIAL.sub(r"\\\1", text[end:])])


def process(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Replace a docstring by what Sphinx reads."""
    lines[:] = [*plain("\n".join(lines)).splitlines(), ""]


def parsed(app: Sphinx, what: str, name: str, value: Any, options: Any, signature: str | None, returned: str | None) -> Any:
    """Return a signature without defaults that are no Python, such as <factory>, so that Sphinx can read its types."""
    return (re.sub(r"<(?:[^<>]|<[^<>]*>)*>", "...", signature), returned) if signature else None


def find(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.Element) -> nodes.Element | None:
    """Lead a name that is written where it is defined to where it is explained; leave a name of others as it is."""
    if node.get("refdomain") != "py" or not node["reftarget"]:
        return None
    wanted, domain = node["reftarget"].rpartition(".")[2], env.get_domain("py")
    homes = [(name, entry) for name, entry in domain.objects.items() if name.rpartition(".")[2] == wanted]
    homes = [home for home in homes if home[0].count(".") <= 2]
    if not node["reftarget"].startswith("fathometer") or len(homes) != 1:
        return text
    name, entry = homes[0]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, text, name)


def line_of(found: re.Match[str]) -> str:
    return "</span>" if found[1] else f'<span class="sig-{"lines" if found[2] == "dl" else "line"}">'


def flat_signatures(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Write a signature of several lines as lines, not as a list of definitions inside of a term."""
    if "body" in context:
        context["body"] = SIGNATURE.sub(lambda found: LIST.sub(line_of, found[0]), context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx to read docstrings through here."""
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-process-signature", parsed)
    app.connect("missing-reference", find)
    app.connect("html-page-context", flat_signatures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
