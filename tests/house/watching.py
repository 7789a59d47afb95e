"""Write the tables of docs/watching.md between their markers."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.watching.faults import FAULTS
from benchmarks.zoo.chance import share_text

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "watching.md"
README = runpy.run_path(str(Path(__file__).with_name("readme.py")))
Row = dict[str, Any]


def rows_of(name: str) -> list[Row]:
    """Return the rows of a benchmark's result."""
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))["rows"]


def cost_table() -> str:
    """Return what watching costs, by network and price, beside its limits."""
    lines = ["| network | price | bare step | measured | every 50th | every 10th | every step |", "|---|---|---|---|---|---|---|"]
    for row in rows_of("watch"):
        cells = [f"{1 + row['first']:.2f}"]
        for every in (50, 10, 1):
            limit = row[f"every_{every}_limit"]
            aim = "" if limit is None else f", aim {limit:.2f}"
            cells.append(f"{row[f'every_{every}']:.3f} (≤ {row[f'every_{every}_high']:.3f}{aim})")
        lines.append(f"| {row['network']} | {row['price']} | {_three(row['bare_ms'])} ms | {' | '.join(cells)} |")
    memory = [f"{row['memory']:.3f} ({row['price']})" for row in rows_of("watch") if row["memory"] is not None]
    return "\n".join(
        [*lines, "", f"Peak memory of a process that is watched at every step, over a bare one's: {', '.join(memory)}."]
    )


def faults_table() -> str:
    """Return, fault by fault, how many runs failed, were warned, and had the planted layer named first."""
    if not (ROOT / "benchmarks" / "results" / "watch_faults.json").exists():
        return "Not measured yet."
    own = [row for row in rows_of("watch_faults") if row["part"] == "scored"]
    lines = [
        "| fault | failed | warned in time | median lead | first alerts | planted layer named first |",
        "|---|---|---|---|---|---|",
    ]
    for name in FAULTS:
        rows = [row for row in own if row["fault"] == name]
        failed = [row for row in rows if row["onset"] is not None]
        leads = sorted(row["lead"] for row in failed if row["lead"] is not None and row["warned"])
        alerts = ", ".join(dict.fromkeys(row["alert"] for row in failed if row["alert"]))
        planted = [row["layer_named"] for row in failed if row["layer_named"] is not None]
        lead = f"{leads[len(leads) // 2]} steps" if leads else "same step" if FAULTS[name].onset == "step" else "–"
        named = f"{sum(planted)} of {len(planted)}" if planted else "–"
        warned = f"{sum(row['warned'] for row in failed)} of {len(failed)}"
        lines.append(f"| {name} | {len(failed)} of {len(rows)} | {warned} | {lead} | {alerts or '–'} | {named} |")
    return "\n".join([*lines, "", *_sums(own)])


def _three(number: float) -> str:
    """Return a number with three digits that count.

    >>> _three(4.7104), _three(136.84), _three(3166.3)
    ('4.71', '137', '3,166')
    """
    return f"{number:.3g}" if number < 1000 else f"{number:,.0f}"


def _sums(own: list[Row]) -> list[str]:
    failed = [row for row in own if row["fault"] and row["onset"] is not None]
    slow = [row for row in failed if FAULTS[row["fault"]].onset != "step"]
    data = [row for row in failed if FAULTS[row["fault"]].onset == "step"]
    planted = [row for row in failed if row["layer_named"] is not None]
    well = [row for row in own if row["fault"] is None]
    return [
        f"- Faults that build up, warned before the onset: {share_text(sum(row['warned'] for row in slow), len(slow))}.",
        f"- Data faults, named in their own step: {share_text(sum(row['warned'] for row in data), len(data))}.",
        f"- Planted layer named first: {share_text(sum(row['layer_named'] for row in planted), len(planted))}.",
        f"- Healthy runs with any alert: {share_text(sum(row['false_before'] > 0 for row in well), len(well))}.",
    ]


def peers_table() -> str:
    """Return what one step takes that others watch, beside ours."""
    if not (ROOT / "benchmarks" / "results" / "watch_peers.json").exists():
        return "Not measured yet."
    lines = ["| network | watched by | version | bare step | a watched step over a bare one |", "|---|---|---|---|---|"]
    for row in rows_of("watch_peers"):
        start = f"| {row['network']} | {row['watcher']} | {row['version'] or 'this'} |"
        if row["factor"] is None:
            lines.append(f"{start} – | {row['problem']} |")
        else:
            lines.append(f"{start} {_three(row['bare_ms'])} ms | {row['factor']:.2f} (≤ {row['factor_high']:.2f}) |")
    return "\n".join(lines)


TABLES: dict[str, Callable[[], str]] = {"cost": cost_table, "peers": peers_table, "faults": faults_table}


def renew(text: str) -> str:
    """Return the page with both tables written anew."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
        text = text.replace(begin + README["between"](text, name) + end, f"{begin}{table()}\n{end}")
    return text


if __name__ == "__main__":
    PAGE.write_text(renew(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
