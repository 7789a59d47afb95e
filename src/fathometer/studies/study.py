"""`study`: one question about depth, measured, answered and kept."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from fathometer import json_text, toml_text
from fathometer.errors import RecordError, SpecError, shown, unknown_name
from fathometer.files import write
from fathometer.report import Page, framed, save
from fathometer.runs.progress import OnProgress
from fathometer.studies.catalogue import STUDIES
from fathometer.studies.cells import Finished
from fathometer.studies.conduct import as_table, conduct
from fathometer.studies.page import study_page
from fathometer.studies.question import Options, Question, Reading, Row

SCHEMA = "fathometer.study/1"


@dataclass(frozen=True)
class Study:
    """A study that is done: its rows, one for each cell, and what they say.

    `reading` has the answer ("shown", "shown in part" or "not shown"), the sentence with its numbers, table and figures;
    `command` makes it again. It shows itself in a notebook.
    """

    name: str
    options: Options
    rows: tuple[Row, ...]
    reading: Reading
    command: str
    question: Question = field(repr=False)

    @property
    def answer(self) -> str:
        """Return whether the claim was shown."""
        return self.reading.answer

    @property
    def cpu_seconds(self) -> float:
        """Return the processor time of all cells."""
        return sum(row.get("cpu_seconds", 0.0) for row in self.rows)

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame with one row for each cell (needs the `frames` extra)."""
        return _frame("pandas", self.rows)

    def to_polars(self) -> Any:
        """Return a polars DataFrame with one row for each cell (needs polars)."""
        return _frame("polars", self.rows)

    def to_json(self) -> str:
        """Return the answer, the table of evidence and all rows as JSON text."""
        reading = self.reading
        words = {"answer": reading.answer, "sentence": reading.sentence, "facts": [list(fact) for fact in reading.facts]}
        table = {"header": list(reading.header), "table": [list(row) for row in reading.table], "notes": list(reading.notes)}
        head = {"schema": SCHEMA, "study": self.name, "claim": self.question.claim, "command": self.command}
        return json_text.dump({**head, "options": dict(self.options), **words, **table, "rows": list(self.rows)})

    def page(self) -> Page:
        """Return the report: claim, figure, evidence, caveats, papers and the command."""
        return study_page(self.question, self.reading, self.command, self.rows)

    def save_html(self, path: str | Path) -> Path:
        """Write the report as one file that opens offline, and return its path."""
        return save(self.page(), path)

    def figure(self) -> Any:
        """Return the first chart of the study."""
        return self.reading.figures[0].chart

    def __str__(self) -> str:
        facts = "; ".join(f"{label} {value}" for label, value in self.reading.facts)
        return f"{self.question.title}: {self.reading.answer}. {self.reading.sentence} ({facts})"

    def _repr_html_(self) -> str:
        return framed(self.page())


def study(
    name: str,
    *,
    folder: str | Path | None = None,
    quick: bool = False,
    executor: Executor | None = None,
    workers: int | None = None,
    progress: OnProgress | None = None,
    options: Mapping[str, Any] | None = None,
) -> Study:
    """Ask one question about depth of many networks, and return the answer with its evidence.

    `name` is a key of `STUDIES`: "power-of-depth", "depth-or-width", "degradation", "trainability", "residual",
    "clipping", "transfer" or "scaling". `options` change single options of the study, such as depths or seeds; `quick`
    takes a smaller grid, enough for a first look. With a `folder` each cell is on disk as soon as it is measured (`cells.jsonl`,
    one line each), and no finished cell is measured again: the same call goes on after a crash, and a larger grid measures
    what is new.

    `workers` are new processes on this machine; one that dies loses what it was at, which is done again. `executor` is any
    of `concurrent.futures`, like that of a Dask client. `progress` is called with (finished cells, all cells, seconds left);
    None draws a bar on a terminal.

    Raises `StudyError`, after all others are done, where cells could not be measured.

    >>> study("power-of-depth", options={"tasks": (), "folds": (1, 2, 3), "seeds": (0,)}).answer
    'shown'
    """
    question = find_question(name)
    chosen = choose(name, question, quick, options or {})
    if executor is not None and workers is not None:
        raise SpecError("Both `executor` and `workers` were given", "One of them does the work", "Leave one out")
    finished = Finished(name, folder)
    groups = question.cells(chosen)
    rows = conduct(name, question, groups, finished, executor=executor, workers=workers, progress=progress)
    done = Study(name, chosen, tuple(rows), question.read(chosen, rows), command_of(name, quick, options or {}), question)
    if folder is not None:
        write(Path(folder) / "study.json", json_text.dump({"schema": SCHEMA, "study": name, "options": dict(chosen)}) + "\n")
    return done


def find_question(name: str) -> Question:
    """Return the study of that name; raise `SpecError` for a name that there is not."""
    if name not in STUDIES:
        raise unknown_name("study", name, STUDIES)
    return STUDIES[name]


def choose(name: str, question: Question, quick: bool, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options of a study, lists made tuples; raise `SpecError` for one that there is not, or of another kind."""
    chosen = {**question.options, **(question.quick if quick else {})}
    for option, value in given.items():
        if option not in chosen:
            raise unknown_name(f'option of "{name}"', option, chosen)
        value = tuple(value) if isinstance(value, list | tuple) else value
        kind = chosen[option]
        is_number = isinstance(kind, float) and isinstance(value, int) and not isinstance(value, bool)
        if type(value) is not type(kind) and not is_number:
            raise SpecError(
                f"`{option}` is {shown(value)}", f"It is of the kind of {kind!r}"[:200], "Give one like it, or leave it out"
            )
        chosen[option] = value
    return chosen


def command_of(name: str, quick: bool, given: Mapping[str, Any]) -> str:
    """Return the command that makes a study again, as a shell reads it.

    >>> print(command_of("clipping", True, {"depth": 20, "seeds": (0, 1)}))
    fathometer study clipping --quick --set depth=20 --set 'seeds=[0, 1]'
    """
    changes = [f"--set {quote(f'{option}={toml_text.value(value)}')}" for option, value in given.items()]
    return " ".join(["fathometer study", name, *(["--quick"] if quick else []), *changes])


def _frame(library: str, rows: Sequence[Row]) -> Any:
    from importlib import import_module

    try:
        frames = import_module(library)
    except ImportError:
        extra = "'fathometer[frames]'" if library == "pandas" else library
        raise RecordError(f"{library} is not installed", "A table needs it", f"Run: pip install {extra}") from None
    return frames.DataFrame(as_table(rows))
