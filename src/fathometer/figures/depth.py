"""One column of several profiles by depth, the forecast band behind."""

from collections.abc import Sequence

import altair as alt

from fathometer.depth_profile import COLUMNS, DepthProfile
from fathometer.errors import FathometerError, unknown_name
from fathometer.figures.axes import Decades, decades, depth_x, linear_y, log_y, same_axis
from fathometer.figures.hover import Row, readout, with_hover
from fathometer.figures.lines import line_layers, off_scale, value_texts
from fathometer.figures.theme import colours, finished, legend
from fathometer.text import number_text

Measured = Sequence[tuple[str, DepthProfile]]

_ALONE = 40  # pixels that the forecast of a network of one block is wide
FORECAST_LABEL = "forecast, 95% of networks"
LOG_COLUMNS = ("signal", "spread", "token_spread", "gradient", "weight_gradient", "update")
# columns whose axis always shows 0 to 1
SHARES = (
    "correlation", "gradient_correlation", "dead", "saturated", "shared", "attention_entropy", "normalised", "batch_norm"
)  # fmt: skip

# Title and subtitle of each column's chart; a subtitle fits a chart of 340 pixels.
TITLES: dict[str, tuple[str, str]] = {
    "signal": ("Signal going forward", "mean square of what each block passes on"),
    "correlation": ("Correlation", "cosine between two different samples"),
    "spread": ("Spread", "how far apart two samples are: 1 − correlation"),
    "rank": ("Rank", "number of directions in which the samples differ"),
    "gradient": ("Gradient coming back", "mean square, relative to the last block"),
    "gradient_correlation": ("Gradient correlation", "cosine between the gradients of two samples"),
    "weight": ("Weights", "root mean square of each block's weights"),
    "weight_gradient": ("Gradient of the weights", "root mean square, relative to the largest"),
    "update": ("Update", "one optimizer step, relative to the weights"),
    "dead": ("Dead units", "share of units that are 0 for every sample"),
    "saturated": ("Saturated units", "share of inputs where the activation is flat"),
    "shared": ("Shared with the input", "correlation of what leaves a block with what enters"),
    "passes": ("A way past the weights", "1 where the block's input reaches its output past every weight"),
    "branch_ratio": ("Branch over stream", "what a residual block adds, relative to its input"),
    "token_spread": ("Token spread", "how far apart two tokens of a sample are"),
    "attention_entropy": ("Attention entropy", "1: all keys alike, 0: one key; the sharpest head"),
    "attention_logits": ("Attention scores", "how far they lie apart in a row; the largest head"),
    "normalised": ("Normalised output", "1: all tokens leave the block equally long"),
    "batch_norm": ("BatchNorm", "norms over the batch for each layer of a block"),
}


def depth_chart(column: str, measured: Measured, forecast: DepthProfile | None = None) -> alt.LayerChart:
    """Draw one column against depth: the forecast band and line behind, each measured network as dots on a thin line.

    `measured` holds labelled profiles, at most four. The columns of `LOG_COLUMNS` have a logarithmic axis; there a 0 stands
    at its floor and infinity at its ceiling, as triangles that say so. None is a gap.
    """
    if column not in COLUMNS:
        raise unknown_name("column", column, COLUMNS, FathometerError)
    theory = forecast if forecast is not None and forecast.known(column) else None
    profiles = [profile for _, profile in measured] + ([theory] if theory else [])
    blocks = max((profile.points for profile in profiles), key=len, default=())
    axis = _decades(column, profiles) if column in LOG_COLUMNS else None
    x = depth_x(1, len(blocks))
    layers = _layers(column, measured, theory, axis=axis, x=x)
    texts = _texts(column, measured, theory, axis=axis, length=len(blocks))
    chart = with_hover(layers, x, readout(range(1, len(blocks) + 1), blocks, texts), list(texts))
    return finished(chart, *TITLES[column], _describe(column, measured))


def _decades(column: str, profiles: Sequence[DepthProfile]) -> Decades:
    measured = [number for profile in profiles for number in profile.column(column) if number is not None]
    axis = decades(_numbers(column, profiles))
    places = {off_scale(number, axis) for number in measured}
    return decades(_numbers(column, profiles), room_below="floor" in places, room_above="ceiling" in places)


def _numbers(column: str, profiles: Sequence[DepthProfile]) -> list[float]:
    tables = [table for profile in profiles for table in (profile.values, profile.low, profile.high)]
    return [number for table in tables for number in table.get(column, ()) if number is not None]


def _layers(column: str, measured: Measured, theory: DepthProfile | None, *, axis: Decades | None, x: alt.X) -> list[alt.Chart]:
    profiles = [profile for _, profile in measured] + ([theory] if theory else [])
    y = log_y("value", axis) if axis else linear_y("value", _numbers(column, profiles), whole=column in SHARES)
    names = [label for label, _ in measured], FORECAST_LABEL if theory else None
    colour = alt.Color("network", type="nominal", scale=colours(*names), legend=legend(*names))
    behind = _forecast_layers(column, theory, x, y, axis=axis, colour=colour) if theory else []
    lines = line_layers({label: profile.column(column) for label, profile in measured}, x, y, colour=colour, axis=axis)
    empty = not any(number is not None for profile in profiles for number in profile.column(column))
    return [*behind, *lines, *([_empty()] if empty else [])]


def _forecast_layers(
    column: str, theory: DepthProfile, x: alt.X, y: alt.Y, *, axis: Decades | None, colour: alt.Color
) -> list[alt.Chart]:
    def place(number: float) -> float:
        return axis.clamp(number) if axis else number

    rows: list[Row] = []
    bands = dict(enumerate(zip(theory.low.get(column, ()), theory.high.get(column, ()), strict=True)))
    for index, value in theory.known(column):
        low, high = (value if end is None else end for end in bands.get(index, (None, None)))
        row: Row = {"depth": index + 1, "network": FORECAST_LABEL, "value": place(value)}
        rows.append(row | {"low": place(low), "high": place(high)})
    drawn = alt.Chart(alt.Data(values=rows)).encode(x=x, color=colour)
    ends = {"y": same_axis(y, "low"), "y2": "high"}
    if len(rows) == 1:  # an area and a line need two points
        band = drawn.mark_rule(style="forecast-band", strokeWidth=_ALONE, aria=False).encode(**ends)
        return [band, drawn.mark_tick(style="forecast-line", orient="horizontal", size=_ALONE, aria=False).encode(y=y)]
    band = drawn.mark_area(style="forecast-band", aria=False).encode(**ends)
    return [band, drawn.mark_line(style="forecast-line", aria=False).encode(y=y)]


def _empty() -> alt.Chart:
    middle = {"x": alt.expr("width / 2"), "y": alt.expr("height / 2")}
    return alt.Chart(alt.Data(values=[{}])).mark_text(style="empty-label", text="not measured here", **middle)


def _texts(
    column: str, measured: Measured, theory: DepthProfile | None, *, axis: Decades | None, length: int
) -> dict[str, list[str]]:
    texts = {label: value_texts(profile.column(column), length, axis) for label, profile in measured}
    if theory is None:
        return texts
    forecast = ["" if value is None else number_text(value) for value in theory.column(column)]
    for index, (low, high) in enumerate(zip(theory.low.get(column, ()), theory.high.get(column, ()), strict=True)):
        if low is not None and high is not None and forecast[index]:
            forecast[index] += f" ({number_text(low)} to {number_text(high)})"
    return texts | {"forecast": forecast + [""] * (length - len(forecast))}


def _describe(column: str, measured: Measured) -> str:
    """Return the chart in one sentence, for those who cannot see it."""
    ends = []
    for label, profile in measured:
        known = profile.known(column)
        if known:
            (first, start), (last, end) = known[0], known[-1]
            ends.append(f"{label} goes from {number_text(start)} at block {first + 1} to {number_text(end)} at block {last + 1}")
    return f"{TITLES[column][0]} by depth ({TITLES[column][1]}): {'; '.join(ends) or 'not measured'}."
