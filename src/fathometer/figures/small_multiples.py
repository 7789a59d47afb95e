"""Many small charts in one picture: one column for each network."""

from collections.abc import Sequence

import altair as alt

from fathometer.figures.beside import bare, one_pointer
from fathometer.figures.theme import config

_WIDTH, _HEIGHT, _GAP = 164, 112, 16  # pixels of one chart, and between two
Column = tuple[str, str, Sequence[alt.LayerChart]]


def small_multiples(columns: Sequence[Column], title: str, subtitle: str | Sequence[str]) -> alt.HConcatChart:
    """Return one column of small charts for each (title, subtitle, charts from top to bottom); for a picture, not for a page.

    Charts lose their legends: the subtitle has to say what is what. The first column's charts keep their own titles as those
    of their axes.
    """
    with one_pointer():
        stacks = [_stack(*column, named=index == 0) for index, column in enumerate(columns)]
        row = alt.hconcat(*stacks, spacing=_GAP, title=alt.Title(title, subtitle=subtitle, fontSize=16, subtitleFontSize=12))
        row = row.resolve_scale(color="independent", x="independent", y="independent")
    row.config = alt.Config.from_dict(config())
    return row


def _stack(title: str, subtitle: str, charts: Sequence[alt.LayerChart], named: bool) -> alt.VConcatChart:
    last = len(charts) - 1
    small = [_small(chart, named=named, lowest=index == last) for index, chart in enumerate(charts)]
    stack = alt.vconcat(*small, spacing=10, title=alt.Title(title, subtitle=subtitle, offset=6))
    return stack.resolve_scale(color="independent", x="independent", y="independent")


def _small(chart: alt.LayerChart, *, named: bool, lowest: bool) -> alt.LayerChart:
    copy = bare(chart)
    heading = copy.title["text"]
    copy.width, copy.height, copy.title = _WIDTH, _HEIGHT, alt.Undefined
    for layer in copy.layer:
        encoding = layer.encoding
        if isinstance(getattr(encoding, "color", None), alt.Color):
            encoding.color["legend"] = None
        if isinstance(encoding.x, alt.X) and not lowest:
            encoding.x["title"] = None
        if named and isinstance(encoding.y, alt.Y):
            encoding.y["title"] = heading
    return copy
