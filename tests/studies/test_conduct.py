"""The cells of a study: each measured once, kept at once, whoever measures."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fathometer.errors import RecordError
from fathometer.studies.cells import Finished
from fathometer.studies.conduct import StudyError, as_table, conduct
from fathometer.studies.question import Cell, Question, Reading, Row

MEASURED: list[Cell] = []


def measure(group: Sequence[Cell]) -> Iterator[Row]:
    """Yield the square of each cell's number, and note that it was measured; 13 cannot be measured."""
    for cell in group:
        if cell["number"] == 13:
            raise ValueError("unlucky")
        MEASURED.append(cell)
        yield {"square": cell["number"] ** 2, "nothing": float("inf")}


def nothing(options: Any, rows: Any) -> Reading:
    """Say nothing."""
    return Reading("shown", "", (), (), (), ())


QUESTION = Question("t", "c", {}, {}, lambda options: [], measure, nothing, (), (), cost=lambda cell: float(cell["number"]))
GROUPS = [[{"number": 1}, {"number": 2}], [{"number": 3}], [{"number": 4}, {"number": 5}]]


@pytest.fixture(autouse=True)
def forget() -> None:
    """Begin each test with nothing measured."""
    MEASURED.clear()


def ask(folder: Path | None = None, groups: Sequence[Sequence[Cell]] = GROUPS, **settings: Any) -> list[Row]:
    """Conduct the toy study."""
    return conduct("toy", QUESTION, groups, Finished("toy", folder), progress=settings.pop("progress", quiet), **settings)


def quiet(*facts: object) -> None:
    """Draw no bar."""


def test_rows_come_in_the_order_of_the_groups() -> None:
    """Whatever is measured first, a row is its cell with what was measured and the processor seconds."""
    rows = ask()

    assert [row["square"] for row in rows] == [1, 4, 9, 16, 25]
    assert {"number", "square", "nothing", "cpu_seconds"} == set(rows[0])
    assert MEASURED[0] == {"number": 4}  # the group that takes longest


def test_no_finished_cell_is_measured_again(tmp_path: Path) -> None:
    """A second call measures nothing; a larger grid measures what is new; the rows are the same."""
    first = ask(tmp_path)
    MEASURED.clear()

    assert ask(tmp_path) == first
    assert MEASURED == []
    assert len(ask(tmp_path, [*GROUPS, [{"number": 6}]])) == 6
    assert MEASURED == [{"number": 6}]


def test_a_stop_loses_what_was_not_finished_alone(tmp_path: Path) -> None:
    """Ctrl-C after three cells leaves three lines; the next call measures the other two."""

    def interrupt(done: int, total: int, left: float) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(tmp_path, progress=interrupt)
    assert len((tmp_path / "cells.jsonl").read_text().splitlines()) == 3
    MEASURED.clear()

    assert len(ask(tmp_path)) == 5
    assert len(MEASURED) == 2


def test_a_line_that_was_cut_short_is_measured_again(tmp_path: Path) -> None:
    """The writer was killed in the middle of a line: that cell is done again, no other, and the file is whole after it."""
    first = ask(tmp_path)
    path = tmp_path / "cells.jsonl"
    path.write_text(path.read_text()[:-30])
    MEASURED.clear()
    again = ask(tmp_path)

    assert [row["square"] for row in again] == [row["square"] for row in first]
    assert len(MEASURED) == 1
    MEASURED.clear()
    assert ask(tmp_path) == again
    assert MEASURED == []


def test_a_cell_that_fails_stops_no_other(tmp_path: Path) -> None:
    """The error names the cell and why; all others are kept, and mending it measures that one alone."""
    groups = [[{"number": 12}, {"number": 13}, {"number": 14}], *GROUPS]
    with pytest.raises(StudyError, match=r"2 of 8 cells of toy were not measured.*unlucky.*'number': 13") as caught:
        ask(tmp_path, groups)

    assert [cell["number"] for cell, _ in caught.value.reasons] == [13, 14]
    MEASURED.clear()
    assert len(ask(tmp_path, [[{"number": 12}], *GROUPS])) == 6
    assert MEASURED == []


def test_progress_says_how_many_are_left_and_how_long() -> None:
    """After each cell: how many are done, how many there are, and a time left that ends at nothing."""
    told: list[tuple[int, int, float]] = []
    ask(progress=lambda *facts: told.append(facts))

    assert [done for done, _, _ in told] == [1, 2, 3, 4, 5]
    assert {total for _, total, _ in told} == {5}
    assert told[0][2] >= 0
    assert told[-1][2] == 0


def test_what_is_finished_counts_as_done(tmp_path: Path) -> None:
    """The progress of a study that goes on begins where it stood."""
    ask(tmp_path)
    told: list[int] = []
    ask(tmp_path, [*GROUPS, [{"number": 7}]], progress=lambda done, total, left: told.append(done))

    assert told == [6]


def test_an_executor_gives_the_same() -> None:
    """Threads give the rows of this process; an executor that takes no work is said to have lost it."""
    with ThreadPoolExecutor(2) as pool:
        found = ask(executor=pool)
    own = ask()

    assert [row["square"] for row in found] == [row["square"] for row in own]
    with pytest.raises(StudyError, match="the executor lost it"):
        ask(executor=pool)


def test_another_file_is_refused(tmp_path: Path) -> None:
    """A file of other lines is no study's, and is not written to."""
    (tmp_path / "cells.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(RecordError, match="no finished cell"):
        ask(tmp_path)


def test_rows_of_several_kinds_make_one_table() -> None:
    """What a row does not have is None."""
    assert as_table([{"a": 1}, {"b": 2}]) == {"a": [1, None], "b": [None, 2]}
