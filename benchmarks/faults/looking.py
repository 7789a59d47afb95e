"""Faults done to a watch in a user's own loop, and to a preflight."""

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.faults.child import Ended, Row, command, lines_in, row, run, start, struck, wait_until
from benchmarks.faults.numbers import TARGETS, preflight_not_finite
from benchmarks.faults.planted import AT, STEPS, record_unguarded, watch_spoilt
from fathometer.errors import RecordError
from fathometer.sinks import read_run_record

READABLE = "every step that was measured can be read"


def watch_rows(home: Path) -> list[Row]:
    """Return the rows of faults that a watched loop is struck by."""
    cases = [("kill -9", [signal.SIGKILL], 137), ("SIGTERM, which Python does not handle", [signal.SIGTERM], 143)]
    rows = [_stopped(home / str(code), fault, signals, code) for fault, signals, code in cases]
    interrupted = _stopped(home / "130", "SIGINT", [signal.SIGINT], 1)
    flight = len(list((home / "130").glob("flight-*.json"))) == 1
    is_theirs = interrupted["message"] == "KeyboardInterrupt"
    promise = f"{READABLE}, the last ones in detail; the interrupt reaches the user's code"
    rows.append({**interrupted, "promise": promise, "survived": flight and is_theirs and "none of" in interrupted["lost"]})
    return [*rows, *_disk(home), _cut(home), *[_spoilt(home, where) for where in ("weights", "data", "gradients")], _memory(home)]


def _stopped(folder: Path, fault: str, signals: list[int], code: int) -> Row:
    record = folder / "watch.jsonl"
    ended = struck(partial(watch_spoilt, "slowly", folder), lambda: lines_in(record) > AT, signals)
    found = read_run_record(folder)
    steps = [measured["step"] for measured in found.rows]
    survived = ended.code == code and AT <= len(steps) < STEPS and steps == list(range(1, len(steps) + 1))
    return row("watch", fault, READABLE, ended, f"none of {len(steps)} measured steps", survived)


def _disk(home: Path) -> list[Row]:
    promise = "the run goes on to its end; the record ends where the disk was full, and a warning says so"
    rows = []
    for name, work in (("full", partial(watch_spoilt, "", home / "full")), ("bare", partial(watch_spoilt, "", home / "bare"))):
        control = name == "bare"
        ended = run(record_unguarded(work) if control else work, largest_file=40_000)
        kept = len(read_run_record(home / name).rows)
        warned, done = "The record in JsonLines ends here" in ended.text, f"all {STEPS} steps were taken" in ended.text
        told = next((line for line in ended.text.splitlines() if "The record in" in line), ended.message)
        said = told.partition("UserWarning: ")[2] or told
        survived = ended.code == 0 and done and (warned or control)
        words = "control: a record whose failure is not caught; the run should not go on" if control else promise
        lost = f"{STEPS - kept} of {STEPS} steps of the record" if done else "the run"
        shown = Ended(ended.code, said)
        rows.append(row("watch", "full disk", words, shown, lost, survived, control=control))
    folder = home / "closed"
    folder.mkdir()
    folder.chmod(0o555)
    ended = run(partial(watch_spoilt, "", folder), has_no_rights=True)
    message = ended.message.partition(": ")[2] or ended.message
    survived = ended.code == 1 and "TargetError" in ended.message and not list(folder.iterdir())
    before = "an error before the first step, in the user's own code"
    rows.insert(1, row("watch", "read-only folder", before, Ended(ended.code, message), "nothing", survived))
    return rows


def _cut(home: Path) -> Row:
    folder = home / "cut"
    run(partial(watch_spoilt, "", folder))
    path = folder / "watch.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:10], b"\xff\x00{{{\n", *lines[10:40], lines[40][:50]]))
    ended = run(command("follow", folder, "--once"))
    found = read_run_record(folder)
    survived = ended.code in (0, 1) and len(found.rows) == 39 and found.cut_short == 2
    text = ended.text.strip().splitlines()[0] if ended.code in (0, 1) and ended.text.strip() else ended.text
    return row(
        "watch",
        "record cut and overwritten",
        f"{READABLE}, but for the damaged lines",
        Ended(ended.code, text),
        "2 lines",
        survived,
    )


def _spoilt(home: Path, where: str) -> Row:
    ended = run(partial(watch_spoilt, where, home / where))
    alerts = [line for line in ended.text.splitlines() if line.startswith("alert in step ")]
    first = alerts[0] if alerts else ""
    survived = ended.code == 0 and first.startswith(f"alert in step {AT}:") and f"all {STEPS} steps" in ended.text
    promise = "an alert in that very step; the run is the user's to stop (`stop_on`)"
    value = "Inf in a weight" if where == "weights" else "NaN in the data" if where == "data" else "NaN in a gradient"
    return row("watch", value, promise, Ended(ended.code, first), "nothing", survived)


def _memory(home: Path) -> Row:
    folder = home / "memory"
    ended = run(partial(watch_spoilt, "memory", folder))
    measured = len(read_run_record(folder).rows)
    flight = len(list(folder.glob("flight-*.json"))) == 1
    survived = ended.code == 1 and "RuntimeError" in ended.text and measured == AT - 1 and flight
    promise = "the user's own error reaches the user's code; the record ends in order, the last steps are kept in detail"
    lost = f"none of {measured} measured steps"
    return row("watch", "out of memory in the user's step", promise, Ended(ended.code, ended.message), lost, survived)


def preflight_rows(home: Path) -> list[Row]:
    """Return the rows of faults that a preflight is struck by."""
    rows = []
    for fault, signals, code in (
        ("kill -9", [signal.SIGKILL], 137),
        ("SIGTERM", [signal.SIGTERM], 143),
        ("SIGINT twice", [signal.SIGINT, signal.SIGINT], 130),
    ):
        page = home / f"{code}.html"
        child = start(command("preflight", f"{TARGETS}:wait", "--html", page))
        wait_until(lambda child=child: child.is_over() or "waiting" in child.said.read_text(encoding="utf-8"))
        for number in signals:
            wait_until(lambda: False, 0.05)
            _send(child.pid, number)
        ended = child.end()
        survived = ended.code == code and list(home.iterdir()) == []
        rows.append(row("preflight", fault, "ends, and nothing is left of it", ended, "the answer", survived))
    return [*rows, *_pages(home), _result(), *preflight_not_finite()]


def _send(pid: int, number: int) -> None:
    import os

    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _pages(home: Path) -> list[Row]:
    page = home / "page.html"
    page.write_text("the old page", encoding="utf-8")
    asked = command("preflight", f"{TARGETS}:well", "--html", page)
    promise = "an error; the page that was there is as it was"
    rows = []
    limits: list[tuple[str, dict[str, int | bool], str]] = [
        ("full disk", {"largest_file": 10_000}, "cannot be written"),
        ("read-only folder", {"has_no_rights": True}, "is not allowed"),
    ]
    home.chmod(0o555)
    page.chmod(0o444)
    for fault, limit, words in limits:
        ended = run(asked, **limit)
        survived = ended.code == 2 and words in ended.message and page.read_text(encoding="utf-8") == "the old page"
        rows.append(row("preflight", fault, promise, ended, "the answer", survived and len(list(home.iterdir())) == 1))
    home.chmod(0o755)
    return rows


def _result() -> Row:
    ended = run(command("preflight", f"{TARGETS}:well", "--json"))
    text = ended.text[: len(ended.text) // 2]
    from fathometer.diagnosis import Preflight

    reading: Callable[[str], object] = Preflight.from_json
    try:
        reading(text)
        said = "it was read"
    except RecordError as problem:
        said = str(problem)
    refused = Ended(None, said)
    return row(
        "preflight", "result cut short", "refused as a record, not read in part", refused, "nothing", said != "it was read"
    )
