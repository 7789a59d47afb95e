"""The folder of a run: what was asked, the log, checkpoints, the record."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Literal

from fathometer import json_text
from fathometer.errors import RecordError, TargetError
from fathometer.files import is_file, reason, write
from fathometer.records import Asked, Record, check_schema
from fathometer.training import Course, checkpoint
from fathometer.training.parallel import rank
from fathometer.training.step import Observer

SCHEMA = "fathometer.run/1"
RUN, LOG, CHECKPOINTS, RECORD = "run.json", "log.jsonl", "checkpoints", "record.json"
FREE = ("evaluate_every", "save_every")  # these decide nothing of the outcome
Resume = Literal["latest", "previous"]
ShouldStop = Callable[[], bool]
Watching = Callable[[Course], AbstractContextManager[Observer]]


class RunFolder:
    """A folder that holds one run, and from which the same run goes on; only the first process writes.

    `beside` are texts to keep in it, by the names of their files. `watching` makes an observer of the run, as a context,
    from its `Course` (model, optimizer, step): see `go_on`. `should_stop` is asked after each step: where it is true the step
    is saved, and the run ends with `KeyboardInterrupt`.
    """

    def __init__(
        self,
        path: str | Path,
        beside: Mapping[str, str] | None = None,
        watching: Watching | None = None,
        should_stop: ShouldStop = lambda: False,
    ) -> None:
        self.path, self.beside, self.watching, self.should_stop = Path(path), beside or {}, watching, should_stop
        self._log: BinaryIO | None = None

    def claim(self, network: Mapping[str, Any], asked: Asked, data: Mapping[str, Any]) -> None:
        """Write down what the run is; raise `RecordError` where the folder holds another one."""
        training = {name: value for name, value in asdict(asked).items() if name not in FREE}
        run = json_text.load(json_text.dump({"network": network, "training": training, "data": data}))
        if is_file(self.path / RUN):
            check_same(self.path, _read(self.path / RUN), run)
        if rank() == 0:
            _make(self.path)
            for name, text in {RUN: json_text.dump({"schema": SCHEMA, **run}) + "\n", **self.beside}.items():
                write(self.path / name, text)

    def resume(self, course: Course, which: Resume = "latest") -> dict[str, Any] | None:
        """Put a course where the latest checkpoint, or the one before it, left it; return the facts kept with it, if any.

        Raises `RecordError` for a checkpoint that cannot be used, or where there is none before the latest.
        """
        found = checkpoint.checkpoints(self.path / CHECKPOINTS)
        if which == "previous" and len(found) < 2:
            raise RecordError(
                f'"{self.path / CHECKPOINTS}" holds {len(found)} checkpoint{"" if len(found) == 1 else "s"}',
                "There is none before the latest",
                "Resume from the latest, or start in another folder",
            )
        if not found:
            return None
        path = found[-1 if which == "latest" else -2]
        facts = checkpoint.load(course, path)
        if "data" not in facts:
            raise RecordError(
                f'"{path}" does not say where the data stand', "A run's own checkpoint does", "Name another `folder`"
            )
        return facts

    def open_log(self, step: int) -> None:
        """Open the log to go on after a step; lines of later steps, and one that was cut short, are taken out."""
        if rank() != 0:
            return
        path = self.path / LOG
        old = path.read_text(encoding="utf-8", errors="replace").splitlines() if is_file(path) else []
        write(path, "".join(f"{line}\n" for line in old if _step(line) <= step))
        self._log = path.open("ab", buffering=0)

    def log(self, row: Mapping[str, Any]) -> None:
        """Add one line to the log, at once; raise `TargetError` where it cannot be written."""
        if self._log is None:
            return
        line = memoryview((json_text.dump(row, indent=None) + "\n").encode())
        try:
            while line:
                line = line[self._log.write(line) :]  # a disk that is almost full takes a part
        except OSError as problem:
            raise TargetError(
                f'"{self.path / LOG}" cannot be written: {problem.strerror}',
                "What was saved before is as it was",
                "Make room, and start the run again",
            ) from None

    def save(self, course: Course, facts: Mapping[str, Any]) -> Path | None:
        """Write a checkpoint; return its path, None where a weight is not finite."""
        return checkpoint.save(course, self.path / CHECKPOINTS, facts)

    def finish(self, record: Record) -> None:
        """Write the record."""
        if rank() == 0:
            write(self.path / RECORD, json_text.dump(record.to_dict()) + "\n")

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()


def check_same(path: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raise `RecordError`, and say what differs, unless two runs are the same."""
    one, other = _flat(there), _flat(here)
    names = [name for name in {**one, **other} if name != "schema" and one.get(name) != other.get(name)]
    if names:
        differences = [f"`{name}` is {_word(one, name)} there and {_word(other, name)} here" for name in names[:3]]
        more = f", and {len(names) - 3} more differ" if len(names) > 3 else ""
        raise RecordError(
            f'"{path}" holds another run: {", ".join(differences)}{more}',
            "A run goes on only as it was begun",
            "Name another `folder`, or remove this one",
        )


def _flat(table: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in table.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": value}
    return found


def _word(table: Mapping[str, Any], name: str) -> str:
    return json.dumps(table[name]) if name in table else "not given"


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return float("inf")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        table = json_text.load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise RecordError(f'"{path}" cannot be read: {problem}', "It says which run this is", "Name another `folder`") from None
    check_schema(table, SCHEMA)
    return table


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as problem:
        raise TargetError(
            f'"{path}" cannot be made: {reason(problem)}',
            "A run is kept in a folder",
            "Name another `folder`",
        ) from None
