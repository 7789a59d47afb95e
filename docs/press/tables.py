"""What the benchmarks measured, as tables; no number in them was typed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.__main__ import BENCHMARKS
from tests.house.readme import caption

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
Row = dict[str, Any]
Column = tuple[str, str, str]  # its heading, its key, how its numbers are written

# Which numbers of a benchmark a reader wants, and how; a benchmark that is not here shows all that it has.
COLUMNS: dict[str, tuple[Column, ...]] = {
    "full_size": (
        ("network", "network", ""), ("parameters", "parameters", ","), ("tokens", "tokens", ""), ("blocks", "blocks", ""),
        ("process time, s", "seconds", ".1f"), ("peak memory, MB", "megabytes", ","),
        ("gradient, first block over last", "gradient", ".3g"), ("verdict", "verdict", ""), ("causes", "causes", ""),
    ),
    "full_size_twins": (
        ("network", "network", ""), ("at full size", "full size", ""), ("cause", "found", ""),
        ("its narrow twin", "twin", ""), ("cause", "found in the twin", ""),
        ("share of a good twin's drop, trained", "drop", ".0%"), ("truth of the twin", "trained", ""),
    ),
    "full_size_exact": (
        ("network", "network", ""), ("optimizer", "optimizer", ""), ("steps", "steps", ""), ("seeds", "seeds", ""),
        ("p: real against real again", "p, real against real again", ".2f"),
        ("p: real against never made", "p, real against never made", ".2f"),
        ("p: the same at another rate", "p, real against never made, another rate", ".3f"),
    ),
    "full_size_steps": (
        ("network", "network", ""), ("parametrization", "parametrization", ""), ("optimizer", "optimizer", ""),
        ("last stream after three steps, times its start", "growth", ".3g"), ("process time, s", "seconds", ".0f"),
    ),
    "training": (
        ("loop", "own", ""), ("against", "loop", ""), ("tokens a CPU second over its", "own_over_it", ".3f"),
        ("lowest round", "lowest", ".3f"), ("highest", "highest", ".3f"), ("aim", "target", ""),
        ("same losses", "same_losses", ""),
    ),
    "many": (
        ("depth", "depth", ""), ("width", "width", ""), ("networks", "runs", ""), ("one by one, s", "train", ".1f"),
        ("a loop by hand, s", "by_hand", ".1f"), ("one stack, s", "many", ".1f"), ("stack over loop by hand", "times", ".2f"),
    ),
    "many_processes": (
        ("networks", "runs", ""), ("one process, s", "one_process", ".1f"), ("two, s", "two_processes", ".1f"),
        ("times as fast", "times", ".2f"),
    ),
    "depth_cost": (
        ("family", "family", ""), ("blocks", "blocks", ""), ("forward and back, ms", "cpu_ms", ".0f"),
        ("a further block, ms", "layer_ms", ".1f"), ("kept, MB", "kept_mb", ".0f"),
        ("kept with √L segments, MB", "sqrt_kept_mb", ".1f"), ("their time", "sqrt_time", ".2f"),
    ),
    "flops": (
        ("network", "network", ""), ("GFLOP by hand", "gflop", ",.4g"), ("ours over that", "fathometer", ".3f"),
        ("ours, backward", "backward", ".3f"), ("torch's counter on meta", "torch_meta", ".3f"),
        ("torch's counter on CPU", "torch_cpu", ".3f"), ("torchinfo", "torchinfo", ".3f"),
    ),
    "preflight_cost": (
        ("network", "network", ""), ("quick, in passes", "quick passes", ".1f"),
        ("thorough, in passes", "thorough passes", ".1f"),
        ("peak memory over a step", "memory over a step", ".2f"),
    ),
    "import_time": (
        ("command", "command", ""), ("seconds", "seconds", ".2f"), ("above Python itself", "above_python", ".2f"),
        ("aim", "limit", ""),
    ),
    "packaging": (
        ("what", "what", ""), ("measured", "measured", ",.2f"), ("in", "unit", ""), ("at most", "limit", ""),
    ),
    "versions": (
        ("Python", "python", ""), ("torch", "torch", ""), ("passed", "passed", ","), ("failed", "failed", ","),
        ("skipped", "skipped", ","), ("rooms", "rooms", ""), ("rooms not run", "not_run", ""), ("day", "date", ""),
    ),
    "depth_figure": (
        ("network", "network", ""), ("column", "column", ""), ("blocks", "blocks", ""), ("inside the band", "inside_band", ""),
        ("farthest outside, as a factor", "worst_factor", ".3f"),
    ),
}  # fmt: skip


def read(name: str) -> Row:
    """Return what a benchmark wrote."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def benchmark(name: str) -> str:
    """Return the table of a benchmark, and beneath it the command, the day and the machine."""
    found = read(name)
    columns = COLUMNS.get(name) or [
        (key, key, "") for key, value in found["rows"][0].items() if not isinstance(value, list | dict)
    ]
    rows = [[text(row[key], form) for _, key, form in columns] for row in found["rows"]]
    return f"{table([heading for heading, _, _ in columns], rows)}\n\n{made(name, found)}"


def made(name: str, found: Row) -> str:
    """Return who made a table, when and where."""
    machine = found["machine"]
    return (
        f"*`python -m benchmarks {name}`, {found['date']}: torch {machine['torch']}, {machine['system']}, "
        f"{machine['threads']} thread{'s' * (machine['threads'] > 1)}.*"
    )


def text(value: object, form: str = "") -> str:
    """Return a cell: nothing for what was not measured, "yes" and "no", a number as its column wants it."""
    if value is None or isinstance(value, bool):
        return {None: "–", True: "yes", False: "no"}[value]
    if isinstance(value, float) and form[-1:] in ("", "g"):
        return format(value, ",.0f" if 1000 <= abs(value) < 1e7 else form or ".3g")
    if isinstance(value, int | float):
        return format(value, form or ",")
    return str(value).replace("|", "\\|")


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def studies(_: str = "") -> str:
    """Return every study: what it claims, what came out, and its table."""
    found = read("studies")
    return "\n\n".join([*map(study, found["rows"]), made("studies", found)])


def study(row: Row) -> str:
    """Return one study's section."""
    parts = [f"## {row['study']}", f"*{row['claim']}*", f"**{row['answer'].capitalize()}.** {row['sentence']}"]
    parts.append(table(list(row["header"]), [[text(cell) for cell in line] for line in row["table"]]))
    parts += [f"- {note}" for note in row["notes"]]
    return "\n\n".join([*parts, f"`{row['command']}`: {row['cells']:,} cells, {row['cpu_seconds']:,.0f} CPU seconds."])


def overview(_: str = "") -> str:
    """Return a line for each benchmark that was run."""
    names = [name for name in BENCHMARKS if (RESULTS / f"{name}.json").exists()]
    rows = [[f"`{name}`", what(BENCHMARKS[name]), read(name)["date"], text(len(read(name)["rows"]))] for name in names]
    return table(["benchmark", "what it measures", "day", "rows"], rows)


def what(function: Callable[..., Any]) -> str:
    """Return the caption of the file that a benchmark stands in."""
    return caption(ROOT.joinpath(*function.__module__.split(".")))
