"""Two or three charts in one picture, side by side."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import altair as alt

from fathometer.figures.theme import config

_GAP = 36  # pixels between two charts


def beside(*charts: alt.LayerChart) -> alt.HConcatChart:
    """Return the charts from left to right, each with its own axes, colours and legend; for a picture, not for a page."""
    with one_pointer():
        row = alt.hconcat(*map(bare, charts), spacing=_GAP).resolve_scale(color="independent", x="independent", y="independent")
    row.config = alt.Config.from_dict(config())
    return row


@contextmanager
def one_pointer() -> Iterator[None]:
    """Let charts by depth share their pointer, so that a depth is marked in all of them: altair asks whether that is meant."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Automatically deduplicated selection parameter")
        yield


def bare(chart: alt.LayerChart) -> alt.LayerChart:
    """Return a copy without a look of its own, its legend in one row: side by side, a legend cannot know its width."""
    copy = chart.copy(deep=True)
    copy.config = alt.Undefined
    for layer in copy.layer:
        if isinstance(layer.data, alt.Data | alt.InlineData):
            layer.data = alt.Data(values=layer.data["values"])  # a named data set may stand only once in a picture
        colour = getattr(layer.encoding, "color", alt.Undefined)
        if isinstance(colour, alt.Color) and isinstance(colour["legend"], alt.Legend):
            colour["legend"]["columns"] = alt.Undefined
    return copy
