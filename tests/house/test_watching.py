"""The page on watching says what the benchmarks measured, and its code runs."""

import runpy
from pathlib import Path

import pytest

WATCHING = runpy.run_path(str(Path(__file__).with_name("watching.py")))
TEXT = WATCHING["PAGE"].read_text(encoding="utf-8")


@pytest.mark.parametrize("table", WATCHING["TABLES"])
def test_a_table_is_up_to_date(table: str) -> None:
    """What stands between the markers is what `python -m tests.house.watching` would write."""
    assert WATCHING["README"]["between"](TEXT, table).splitlines() == WATCHING["TABLES"][table]().splitlines()


def test_the_code_of_the_page_runs() -> None:
    """The block of Python in it runs as it stands."""
    (code,) = [part.split("```")[0] for part in TEXT.split("```python\n")[1:]]

    exec(compile(code, "docs/watching.md", "exec"), {"__name__": "__main__"})
