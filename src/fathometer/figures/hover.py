"""Marking one depth, in one chart or in all charts of a page."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

HOVER = "hover_depth"  # the signal that a page reads: the depth that this chart marks
MARKED = "marked_depth"  # the signal that a page sets, to mark the depth that another chart is pointed at
READOUT = "readout"  # the data set with one row and one sentence for each depth

Row = dict[str, float | int | str | None]


def readout(depths: Sequence[int], blocks: Sequence[str], columns: Mapping[str, Sequence[str]]) -> list[Row]:
    """Return one row for each depth: the block's name, the text of each column, and all of it in one sentence."""
    rows: list[Row] = []
    for index, (depth, block) in enumerate(zip(depths, blocks, strict=True)):
        shown = {f"shown{number}": column[index] or "–" for number, column in enumerate(columns.values())}
        short = [f"{label} {column[index].split(' (')[0]}" for label, column in columns.items() if column[index]]
        name = block if block == str(depth) else f"{depth} ({block})"
        rows.append({"depth": depth, "block": name, **shown, "sentence": f"block {name}: {', '.join(short) or 'not known'}"})
    return rows


def with_hover(layers: Sequence[alt.Chart], x: alt.X, rows: list[Row], labels: Sequence[str]) -> alt.LayerChart | alt.FacetChart:
    """Return the layers over a rule at the marked depth and under a sheet of columns that the pointer finds.

    `hover_depth` is the depth under the pointer, or where there is none, `marked_depth`, which a page may set.
    """
    data = alt.Data(values=rows, name=READOUT)
    pointer = alt.selection_point(name="pointer", fields=["depth"], on="pointermove", clear="pointerout", empty=False)
    rule = alt.Chart(data).mark_rule(style="hover-rule", aria=False).encode(x=x).transform_filter(f"datum.depth === {HOVER}")
    tips = [alt.Tooltip("block", type="nominal", title="block")]
    tips += [alt.Tooltip(f"shown{number}", type="nominal", title=label) for number, label in enumerate(labels)]
    column = alt.expr(f"width / {max(len(rows), 1)} + 1")
    sheet = alt.Chart(data).mark_rule(opacity=0, strokeWidth=column, aria=False).encode(x=x, tooltip=tips).add_params(pointer)
    depth = alt.param(name=HOVER, expr=f"isValid(pointer.depth) ? pointer.depth[0] : {MARKED}")
    return alt.layer(rule, *layers, sheet).add_params(alt.param(name=MARKED, value=None), depth)


def dot_size(count: int) -> Any:
    """Return the size of a dot: smaller where there are many, larger at the marked depth."""
    plain = next(size for most, size in ((20, 44), (40, 28), (70, 20), (10**9, 12)) if count <= most)
    return alt.when(f"datum.depth === {HOVER}").then(alt.value(plain + 70)).otherwise(alt.value(plain))
