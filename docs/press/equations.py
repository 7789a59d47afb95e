"""Equations as drawings in the page: no script, no font, no network.

Each formula is set by ziamath when the site is built. A reader who does not see it hears its TeX.
"""

import re
from functools import cache
from html import escape

import ziamath
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

POINTS = 16.0  # drawn at this size and shown in em, so that formulas grow with the text around them
NUMBER = re.compile(r"-?\d+\.\d+")


@cache
def drawn(tex: str, inline: bool) -> str:
    """Return the SVG of a formula, in the colour of the text, lying on its baseline; raise `ValueError` where TeX is wrong."""
    ziamath.config.svg2, ziamath.config.precision = False, 2  # plain paths, so that no two drawings share an identifier
    try:
        formula = ziamath.Latex(tex, size=POINTS, inline=inline, color="currentColor")
        svg = lean(formula.svg())
    except Exception as problem:
        raise ValueError(f"This formula cannot be set: {tex!r}: {problem!r}") from problem
    below = -float(svg_height_below(svg)) / POINTS if inline else 0.0
    return sized(svg, f' style="vertical-align:{below:.3f}em"' if inline else "")


def lean(svg: str) -> str:
    """Return the drawing without the spaces and names that a page of HTML does not need."""
    svg = re.sub(r" ?([A-Z]) ?(?=[-\d])", r"\1", svg).replace(" Z", "Z")
    svg = re.sub(r' xmlns(?::xlink)?="[^"]*"', "", svg)
    return NUMBER.sub(lambda found: found[0].rstrip("0").rstrip("."), svg)


def svg_height_below(svg: str) -> float:
    """Return how far a drawing reaches below its baseline, which lies at 0."""
    _, top, _, height = map(float, re.search(r'viewBox="([^"]*)"', svg)[1].split())
    return top + height


def sized(svg: str, more: str) -> str:
    """Return the drawing with its size in em, unseen by a screen reader, which reads the label around it."""

    def em(found: re.Match[str]) -> str:
        return f'{found[1]}="{float(found[2]) / POINTS:.3f}em"'

    return re.sub(r'\b(width|height)="([\d.]+)"', em, svg, count=2).replace("<svg", f'<svg aria-hidden="true"{more}', 1)


def labelled(tex: str, svg: str, name: str, kind: str) -> str:
    """Return the drawing in an element that says its TeX."""
    words = escape(" ".join(tex.split()), quote=True)
    return f'<{name} class="{kind}" role="img" aria-label="{words}">{svg}</{name}>'


def visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(labelled(node.astext(), drawn(node.astext(), True), "span", "equation"))
    raise nodes.SkipNode


def visit_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    translator.body.append(labelled(node.astext(), drawn(node.astext(), False), "div", "equations"))
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx how this site sets its formulas."""
    app.add_html_math_renderer("drawn", inline_renderers=(visit_inline, None), block_renderers=(visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
