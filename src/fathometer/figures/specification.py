"""A chart as Vega-Lite, small: shared data once, six digits."""

from typing import Any, Literal

import altair as alt

from fathometer.figures.theme import WIDTH, Ink, config

_DIGITS = 6  # more than a screen can show


def spec(chart: alt.TopLevelMixin, ink: Ink = "light", width: int | Literal["container"] = WIDTH) -> dict[str, Any]:
    """Return the chart's Vega-Lite specification in that ink and width (in pixels, or that of the element around it)."""
    table = _with_shared_data(chart.to_dict())
    if "hconcat" in table:  # charts side by side have widths of their own
        return table | {"config": config(ink)}
    look = {"config": config(ink), "width": width}
    # A width in pixels is that of the plot itself: with "fit-x" a legend that wraps would push the title out of the picture.
    fit = {"autosize": {"type": "fit-x", "contains": "padding"}} if width == "container" else {}
    return table | look | fit


def _with_shared_data(table: dict[str, Any]) -> dict[str, Any]:
    """Return the specification with the data of its layers in `datasets`, each once."""
    datasets: dict[str, Any] = {}

    def named(part: dict[str, Any]) -> dict[str, Any]:
        data = part.get("data", {})
        if "values" not in data:
            return part
        rows = [{key: _short(value) for key, value in row.items()} for row in data["values"]]
        known = next((name for name, other in datasets.items() if other == rows), None)
        name = known or data.get("name", f"data{len(datasets)}")
        datasets[name] = rows
        return part | {"data": {"name": name}}

    layers = [named(layer) for layer in table.get("layer", [])]
    return named(table) | ({"layer": layers} if layers else {}) | {"datasets": datasets}


def _short(value: Any) -> Any:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
