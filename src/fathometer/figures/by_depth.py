"""Any number against depth, for a few lines, one depth marked in all."""

from collections.abc import Callable, Sequence

import altair as alt

from fathometer.figures.axes import depth_x, linear_y
from fathometer.figures.hover import readout, with_hover
from fathometer.figures.lines import Numbers, line_layers
from fathometer.figures.reference import reference_layers
from fathometer.figures.theme import colours, finished, legend
from fathometer.text import number_text


def by_depth_chart(
    lines: Sequence[tuple[str, Numbers]],
    *,
    title: str,
    subtitle: str,
    blocks: Sequence[str] = (),
    first: int = 1,
    percent: bool = False,
    axis: str = "depth (block)",
    reference: tuple[float, str] | None = None,
) -> alt.LayerChart:
    """Draw numbers by depth for labelled lines, at most four; None is a gap.

    `blocks` are the names along depth, `first` is the depth of the first number, `axis` the title of x. `percent` shows shares,
    from 0 to 1. `reference` is a value to compare with, drawn dotted, and what it is.
    """
    length = max((len(numbers) for _, numbers in lines), default=0)
    depths = range(first, first + length)
    names = list(blocks) or [str(depth) for depth in depths]
    known = [number for _, numbers in lines for number in numbers if number is not None]
    ends = known + ([] if reference is None else [reference[0]])
    x, y = depth_x(first, first + length - 1, axis), linear_y("value", ends, percent=percent, whole=percent)
    behind = [] if reference is None else reference_layers(*reference)
    drawn = lines_over(behind, lines, x, y, depths=depths, names=names, say=lambda number: _words(number, percent))
    return finished(drawn, title, subtitle, _describe(title, lines, percent))


def lines_over(
    behind: Sequence[alt.Chart],
    lines: Sequence[tuple[str, Numbers]],
    x: alt.X,
    y: alt.Y,
    *,
    depths: Sequence[int],
    names: Sequence[str],
    say: Callable[[float | None], str],
) -> alt.LayerChart | alt.FacetChart:
    """Return labelled lines over other layers, each with its colour, and with what to `say` of a number where one points."""
    labels = [label for label, _ in lines]
    colour = alt.Color("network", type="nominal", scale=colours(labels), legend=legend(labels))
    layers = [*behind, *line_layers(dict(lines), x, y, colour=colour, first=depths[0] if depths else 1)]
    texts = {label: [say(number) for number in numbers] + [""] * (len(depths) - len(numbers)) for label, numbers in lines}
    return with_hover(layers, x, readout(depths, names, texts), labels)


def _words(number: float | None, percent: bool) -> str:
    if number is None:
        return ""
    return f"{number:.1%}" if percent else number_text(number)


def _describe(title: str, lines: Sequence[tuple[str, Numbers]], percent: bool) -> str:
    told = []
    for label, numbers in lines:
        known = [number for number in numbers if number is not None]
        if known:
            told.append(f"{label} goes from {_words(known[0], percent)} to {_words(known[-1], percent)}")
    return f"{title} by depth: {'; '.join(told) or 'not measured'}."
