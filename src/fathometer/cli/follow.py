"""`fathometer follow`: the live view of a run, or of one that ended."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fathometer.sinks import RunRecord

COLUMNS = {
    "signal": "mean square of the activations",
    "gradient": "mean square of the gradient, over that at the last layer",
    "update": "one step over the weights it moves",
    "dead": "share of dead units",
    "attention_logits": "spread of the attention logits",
    "attention_entropy": "entropy of the sharpest head",
    "rank": "directions in which samples differ",
}
LAST_ALERTS = 6


def follow(
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")],
    column: str = "gradient",
    once: bool = False,
    json: bool = False,
    seconds: float = 1.0,
) -> int:
    """Show a run as it goes, or one that has ended: losses, alerts, and every layer over the steps.

    RUN is the folder that was given as `record` to fm.watch, or that `fathometer train` writes; a run that was killed is
    shown up to its last flush. Without a terminal, and for a run that has ended, the view is printed once.

    Exit code: 0 fine, 1 the run has alerts of what went wrong, 2 error.

    Args:
        run: The folder of the run, or its file of JSON lines.
        column: What the heatmap shows: signal, gradient, update, dead, attention_logits, attention_entropy or rank.
        once: Print what is there, and do not wait for more.
        json: Print losses, alerts and the last measured step as JSON, and nothing else.
        seconds: The time between two looks at the record.
    """
    from fathometer import json_text
    from fathometer.errors import SpecError, unknown_name
    from fathometer.sinks import read_run_record

    if column not in COLUMNS:
        raise unknown_name("column", column, COLUMNS)
    if not 0 < seconds < float("inf"):
        raise SpecError(f"`seconds` is {seconds:g}", "The view is drawn anew after a time", "Try --seconds 2")
    record = read_run_record(run)
    if json:
        print(json_text.dump(_as_table(record)))
    elif once or record.end is not None or not sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False, soft_wrap=True).print(run_view(record, column, sys.stdout.isatty()))
    else:
        record = _live(run, column, seconds)
    return 1 if any(alert["gravity"] == "failure" for alert in record.alerts) else 0


def _live(run: Path, column: str, seconds: float) -> "RunRecord":
    """Draw the view anew while the record grows, until the run ends."""
    from time import sleep

    from rich.live import Live

    from fathometer.sinks import read_run_record

    record = read_run_record(run)
    with Live(run_view(record, column, True), auto_refresh=False) as live:
        while record.end is None:
            sleep(seconds)
            record = read_run_record(run)
            live.update(run_view(record, column, True), refresh=True)
    return record


def run_view(record: "RunRecord", column: str, coloured: bool) -> "RenderableType":
    """Return the view of a run: how it stands, its loss, the heatmap of one column, the last alerts."""
    from rich.console import Group
    from rich.text import Text

    parts = [Text(_headline(record), style="bold"), *_losses(record), *_heatmap(record, column, coloured)]
    for alert in record.alerts[-LAST_ALERTS:]:
        where = f" First moved: {alert['points'][0]}." if alert["points"] else ""
        text = f"step {alert['step']:,}  {alert['name']}: {alert['sentence']}{where}"
        parts.append(Text(text, style="red" if alert["gravity"] == "failure" else "yellow"))
    if record.alerts[LAST_ALERTS:]:
        parts.append(Text(f"({len(record.alerts) - LAST_ALERTS} alerts before these)", style="dim"))
    if record.rows and "cost" in record.rows[-1]:
        parts.append(Text(str(record.rows[-1]["cost"]), style="dim"))
    return Group(*parts)


def _headline(record: "RunRecord") -> str:
    rows = [*record.rows[-1:], *([record.end] if record.end else [])]
    step = max([step for step, _ in record.losses[-1:]] + [row.get("step", 0) for row in rows], default=0)
    state = f"{record.end['how']} at" if record.end else "up to"
    found = f"{len(record.alerts)} alert{'s' * (len(record.alerts) != 1)}"
    return f"{record.about.get('model', 'run')}: {state} step {step:,}, {len(record.rows):,} measured, {found}"


def _losses(record: "RunRecord") -> list["RenderableType"]:
    from rich.text import Text

    from fathometer.text import number_text, sparkline

    values = [loss for _, loss in record.losses]
    if not values:
        return []
    line = sparkline(values, width=60, log=all(value > 0 for value in values))
    return [Text(f"loss  {line}  {number_text(values[0])} → {number_text(values[-1])}")]


def _heatmap(record: "RunRecord", column: str, coloured: bool) -> list["RenderableType"]:
    from rich.text import Text

    from fathometer.text import heat_colour, heat_levels, heat_text

    found = record.column(column)
    if not found:
        return []
    levels = heat_levels([series for _, series in found], log=column not in ("dead", "attention_entropy", "rank"))
    lines = [Text(f"{column}: {COLUMNS[column]}; steps {found[0][0]:,} to {found[-1][0]:,}, last layer on top")]
    for row, text in zip(levels, heat_text(levels), strict=True):
        line = Text(text)
        if coloured:
            cells = [("█", heat_colour(level)) if level is not None and level < 2 else ("·", "red") for level in row]
            line = Text.assemble(*cells)
        lines.append(line)
    names = record.points
    return [*lines, Text(f"top: {names[-1]}, bottom: {names[0]}", style="dim")] if names else [*lines]


def _as_table(record: "RunRecord") -> dict[str, object]:
    last = dict(record.rows[-1]) if record.rows else None
    return {
        "schema": "fathometer.follow/1",
        "about": dict(record.about),
        "losses": [list(pair) for pair in record.losses],
        "alerts": [dict(alert) for alert in record.alerts],
        "measured": len(record.rows),
        "last": last,
        "end": None if record.end is None else dict(record.end),
    }
