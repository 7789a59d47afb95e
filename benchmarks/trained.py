"""One, 5, 50, 96 and 1,000 layers, trained here; drawn into docs/trained.png."""

from dataclasses import replace
from math import floor, log
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import altair as alt

from fathometer.figures import loss_chart, save, small_multiples
from fathometer.runs import RunFile, read_run, train_file

RUNS = Path(__file__).parents[1] / "examples" / "runs"
PICTURE = Path(__file__).parents[1] / "docs" / "trained.png"
# The run file, its title in the picture (None: it is trained, and not drawn), and what stands below the title.
NETWORKS: dict[str, tuple[str | None, str]] = {
    "shallow-1": ("1 layer", "MLP, handwritten digits"),
    "mlp-5": ("5 layers", "MLP, handwritten digits"),
    "resnet-50": ("50 layers", "ResNet-50, drawn scenes"),
    "gpt-96": ("96 layers", "GPT-3's depth, Python's sources"),
    "mlp-1000": (None, "residual MLP, handwritten digits"),
}
TITLE = "One, 5, 50 and 96 layers, each trained in minutes on one core"
SUBTITLE = ["Training loss in nats over steps, smoothed. Dotted: the best answer that sees no input."]
Row = dict[str, Any]


def trained() -> list[Row]:
    """Return one row for each run file of `examples/runs`: losses, accuracy, steps and seconds, and every training loss.

    `no_input` is the loss of the best constant answer: the entropy of the held-out bytes, or of as many equal classes as
    there are. `seconds` are those of the clock from the first step to the last; `cpu_seconds` those of the process, with
    reading the data and judging at the end.
    """
    with TemporaryDirectory() as folder:
        rows = [_row(name, Path(folder)) for name in NETWORKS]
    draw(rows)
    return rows


def draw(rows: list[Row]) -> None:
    """Draw the loss curves of rows into the picture."""
    columns = []
    for row in rows:
        title, below = NETWORKS[row["run"]]
        if title is not None:
            chart = loss_chart([(title, [row["losses"]])], reference=row["no_input"], label="no input")
            columns.append((title, below, [with_whole_ticks(chart, max(row["losses"]), len(row["losses"]))]))
    save(small_multiples(columns, TITLE, SUBTITLE), PICTURE)


def with_whole_ticks(chart: alt.LayerChart, highest: float, steps: int) -> alt.LayerChart:
    """Return the chart with ticks at whole nats, none of them at the upper edge, so that charts side by side are level."""
    top, each = floor(highest), 100 if steps < 500 else 200
    ticks = list(range(0, top + 1, 1 if top < 5 else 2))
    scale, axis = alt.Scale(domain=[0, top + 1], nice=False), alt.Axis(values=ticks, tickCount=len(ticks), format="d")
    for layer in chart.layer:
        for name in ("y", "x"):
            channel = layer.encoding[name]
            if isinstance(channel, alt.Y) and channel["axis"] is not alt.Undefined:
                channel["scale"], channel["axis"] = scale, axis
            elif isinstance(channel, alt.X):
                channel["axis"] = alt.Axis(values=[1, *range(each, steps + 1, each)], format=",d")
    return chart


def _row(name: str, folder: Path) -> Row:
    asked = replace(read_run(RUNS / f"{name}.toml"), folder=folder / name)
    start = process_time()
    record = train_file(asked).record
    return {
        "run": name,
        "steps": len(record.losses),
        "first_loss": record.losses[0],
        "held_out_loss": record.held_out_loss,
        "no_input": no_input(asked),
        "bigrams": asked.source.facts.get("bigram_entropy"),
        "held_out_accuracy": record.held_out_accuracy,
        "seconds": record.seconds,
        "cpu_seconds": process_time() - start,
        "losses": [round(loss, 3) for loss in record.losses],
    }


def no_input(asked: RunFile) -> float:
    """Return the loss of the best answer that is the same for every input."""
    facts = asked.source.facts
    return facts["unigram_entropy"] if "unigram_entropy" in facts else log(facts["classes"])
