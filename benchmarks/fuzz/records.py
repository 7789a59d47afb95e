"""Saved results: records and their JSON, watched runs, damaged."""

import dataclasses
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

from hypothesis import strategies as st

from benchmarks.fuzz.kind import Kind, answer, is_count, is_number
from benchmarks.fuzz.values import WORDS, damaged, json_bytes, nested, odd_values
from fathometer import json_text
from fathometer.cli.follow import COLUMNS, run_view
from fathometer.records import Asked, Machine, Record, Status, read_json
from fathometer.sinks import read_run_record
from fathometer.spec import Mlp, spec_to_dict

ASKED, RECORD, MACHINE = (tuple(field.name for field in dataclasses.fields(kind)) for kind in (Asked, Record, Machine))
WHOLE = Record(Asked(steps=3), "finished", (1.0, 0.5, 0.25), 0.3, 0.9, 1.5, None, spec_to_dict(Mlp()), Machine("3.11")).to_dict()


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the table of a record in which a few things are not as they were written."""
    table = {**WHOLE, "asked": dict(WHOLE["asked"]), "machine": dict(WHOLE["machine"])}
    for _ in range(draw(st.integers(0, 3))):
        where, names = draw(st.sampled_from([(table, RECORD), (table["asked"], ASKED), (table["machine"], MACHINE)]))
        name = draw(st.sampled_from([*names, "schema"]) | WORDS)
        if draw(st.booleans()):
            where[name] = draw(odd_values())
        elif isinstance(where, dict):
            where.pop(name, None)
        if not all(isinstance(table.get(part), dict) for part in ("asked", "machine")):
            break
    return table


def check_table(table: Any) -> bool:
    """Raise unless a table is a record that holds what it may and survives being written, or is refused in words."""
    record = answer(lambda: Record.from_dict(table))
    if record is not None:
        check_record(record)
    return record is not None


def check_record(record: Record) -> None:
    """Raise unless a record is of the types that it says, and reads the same after it was written (NaN equals itself)."""
    again = Record.from_dict(read_json(json_text.dump(record.to_dict())))
    assert repr(again) == repr(record)
    assert record.status in get_args(Status), f"`status` is {record.status!r}"
    assert all(isinstance(loss, float) for loss in record.losses), f"losses are {record.losses!r}"
    for name in ("held_out_loss", "held_out_accuracy"):
        assert isinstance(getattr(record, name), float | None), f"`{name}` is {getattr(record, name)!r}"
    assert is_number(record.seconds)
    assert record.seconds >= 0
    assert record.stopped_at is None or is_count(record.stopped_at)
    assert isinstance(record.stopped_in, str | None)
    assert is_count(record.asked.steps)
    assert is_number(record.asked.learning_rate)
    assert is_count(record.asked.seed, 0, 2**64 - 1)
    assert all(isinstance(getattr(record.machine, name), str) for name in ("python", "torch", "system"))


TEXTS = (
    damaged(json_text.dump(WHOLE).encode()).map(lambda content: content.decode(errors="replace"))
    | st.integers(1, 5).map(lambda power: nested("[", "]", 10**power))
    | st.integers(1, 5).map(lambda power: nested('{"a":', "}", 10**power))
    | st.sampled_from(["1" * 5000, "1e999", "-0", "NaN", '"\\ud800"', "\ufeff{}", "{}{}"])
    | odd_values().map(json_bytes).map(bytes.decode)
)


def check_text(text: str) -> bool:
    """Raise unless a text is JSON, and then a record or refused in words, or no JSON and said so."""
    table = answer(lambda: read_json(text))
    return table is not None and check_table(table)


def _row(step: int) -> dict[str, Any]:
    columns = {name: [0.1, 0.2] for name in COLUMNS}
    return {"kind": "step", "step": step, "points": ["0", "1"], "columns": columns, "losses": [[step, 1.0]], "cost": "1.0"}


ALERT = {"kind": "alert", "step": 2, "name": "loss_spike", "sentence": "It rose.", "gravity": "warning", "points": ["0"]}
BEGIN = {"kind": "begin", "schema": "fathometer.watch/1", "model": "Mlp", "after_step": 0}
ROWS = [BEGIN, _row(1), _row(2), ALERT, {"kind": "end", "how": "finished"}]


@st.composite
def logs(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw a run's file of lines, its name, and what is wrong with it."""
    rows = [dict(row) for row in ROWS]
    for _ in range(draw(st.integers(0, 2))):
        row = draw(st.sampled_from(rows))
        name = draw(st.sampled_from([*ROWS[1], *ROWS[3], "after_step", "loss", "how"]))
        row[name] = draw(odd_values())
    text = b"".join(json_bytes(row) + b"\n" for row in rows)
    name = draw(st.sampled_from(["watch.jsonl", "log.jsonl"]))
    return name, draw(st.just(text) | damaged(text))


def check_log(given: tuple[str, bytes]) -> bool:
    """Raise unless a run's file of lines can be shown, or is refused in words."""
    from io import StringIO

    from rich.console import Console

    name, content = given
    with TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(content)
        record = answer(lambda: read_run_record(folder))
    for column in COLUMNS if record is not None else ():
        Console(file=StringIO(), width=100).print(run_view(record, column, True))
    return record is not None


def with_part(name: str, value: Any) -> dict[str, Any]:
    """Return the table of a whole record with one part that is another."""
    return {**WHOLE, name: value}


def with_row(**changes: Any) -> tuple[str, bytes]:
    """Return a run's log whose measured step is another."""
    return "watch.jsonl", b"".join(json_bytes(row) + b"\n" for row in (BEGIN, {**_row(1), **changes}, ALERT))


PINNED_RECORDS = (
    with_part("asked", {"a\nb": 1}),
    with_part("asked", {"seed": 2**64}),
    with_part("status", "odd"),
    with_part("losses", [True, "a"]),
    with_part("stopped_at", True),
    with_part("stopped_at", 2**64),
    with_part("seconds", float("nan")),
    with_part("held_out_loss", "0.3"),
    with_part("stopped_in", "NaN"),  # came back as a number
    with_part("machine", {"python": 3}),
    with_part("network", []),
)
PINNED_LOGS = (with_row(step=None), with_row(step=[]), with_row(points=3), with_row(losses=[3]))
KINDS = (
    Kind("record", tables(), check_table, 200, 60, PINNED_RECORDS),
    Kind("record's JSON", TEXTS, check_text, 150, 40, (nested("[", "]", 9000), nested('{"a":', "}", 9000))),
    Kind("run's log", logs(), check_log, 60, 12, PINNED_LOGS),
)
