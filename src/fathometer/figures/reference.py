"""A dotted line to compare with, and what it stands for."""

import altair as alt


def reference_layers(value: float, label: str, *, field: str = "value", below: bool = False) -> list[alt.Chart]:
    """Return a horizontal dotted line at a value, with its label above (or below) the right end."""
    data = alt.Data(values=[{field: value, "label": label}])
    y = alt.Y(field, type="quantitative")
    rule = alt.Chart(data).mark_rule(style="reference-line", aria=False).encode(y=y)
    text = alt.Chart(data).mark_text(style="reference-label", baseline="top" if below else "bottom", dy=5 if below else -4)
    return [rule, text.encode(x=alt.value("width"), y=y, text=alt.Text("label", type="nominal"))]
