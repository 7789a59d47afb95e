"""Saving a chart as a picture or a page, by the file's suffix."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import altair as alt

from fathometer.errors import FathometerError
from fathometer.figures.specification import spec
from fathometer.figures.theme import Ink
from fathometer.files import write


def save(chart: alt.TopLevelMixin, path: str | Path, ink: Ink = "light") -> None:
    """Write a chart as .png, .svg, .pdf, .html (one file that needs no network) or .json (Vega-Lite)."""
    path = Path(path)
    if path.suffix.lower() not in _WRITERS:
        raise FathometerError(
            f'The chart is to be saved as "{path.name}"',
            f"The suffix says the format: {', '.join(_WRITERS)}",
            f'Try "{path.stem}.png"',
        )
    write(path, _WRITERS[path.suffix.lower()](spec(chart, ink)))


def _png(table: dict[str, Any]) -> bytes:
    return vl_convert().vegalite_to_png(table, scale=2)


def _svg(table: dict[str, Any]) -> str:
    return vl_convert().vegalite_to_svg(table)


def _pdf(table: dict[str, Any]) -> bytes:
    return vl_convert().vegalite_to_pdf(table)


def _html(table: dict[str, Any]) -> str:
    return vl_convert().vegalite_to_html(table, bundle=True)


def _json(table: dict[str, Any]) -> str:
    return json.dumps(table, indent=2) + "\n"


def vl_convert() -> Any:
    """Return the converter, imported when it is needed: it takes half a second."""
    import vl_convert

    return vl_convert


_WRITERS: dict[str, Callable[[dict[str, Any]], str | bytes]] = {
    ".png": _png,
    ".svg": _svg,
    ".pdf": _pdf,
    ".html": _html,
    ".json": _json,
}
