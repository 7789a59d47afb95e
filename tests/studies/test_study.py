"""The public face of a study: options, tables, page and command."""

import json
import shlex
from html import escape
from pathlib import Path

import pytest

import fathometer as fm
from fathometer.cli.settings import read_settings
from fathometer.errors import SpecError, TargetError
from fathometer.report import render
from fathometer.studies import STUDIES, Study, dask_executor
from fathometer.studies.study import command_of

OPTIONS = {"tasks": (), "folds": (1, 2, 3), "seeds": (0, 1)}


@pytest.fixture(scope="module")
def done() -> Study:
    """Return a small study."""
    return fm.study("power-of-depth", options=OPTIONS, progress=lambda *facts: None)


def test_the_rows_are_a_table(done: Study) -> None:
    """One row for each cell, as pandas has it."""
    pytest.importorskip("pandas")
    table = done.to_pandas()

    assert len(table) == len(done.rows) == 3 + 8
    assert list(table.query("kind == 'construction'")["pieces"]) == [2, 4, 8]


def test_the_rows_are_a_table_of_polars_too(done: Study) -> None:
    """The same rows and columns where polars is installed."""
    pytest.importorskip("polars")
    table = done.to_polars()

    assert table.height == len(done.rows)
    assert set(table.columns) == set(done.to_pandas().columns)


def test_the_page_has_all_its_parts(done: Study) -> None:
    """Claim, answer, figure, evidence, caveats, papers and the command that made it, on one page."""
    page, question = render(done.page()), STUDIES["power-of-depth"]

    assert question.claim in page
    assert all(caveat in page for caveat in question.caveats)
    assert "Telgarsky 2015" in page
    assert escape(done.command, quote=False) in page
    assert "vegaEmbed" in page
    assert done.reading.sentence.split(";")[0] in page


def test_json_holds_answer_and_rows(done: Study) -> None:
    """The JSON text has a schema, the answer, the command and every row."""
    found = json.loads(done.to_json())

    assert found["schema"] == "fathometer.study/1"
    assert found["answer"] == "shown"
    assert len(found["rows"]) == len(done.rows)


def test_the_command_makes_the_same_study(done: Study) -> None:
    """The command names the options that were changed, as TOML has them, and a shell reads them so."""
    assert done.command == "fathometer study power-of-depth --set 'tasks=[]' --set 'folds=[1, 2, 3]' --set 'seeds=[0, 1]'"


@pytest.mark.parametrize("value", [("sawtooth", "it's"), 0.5, True, 3, "two words", ()])
def test_the_command_survives_a_shell(value: object) -> None:
    """What a shell makes of the command is read back as the option that was given."""
    *start, change = shlex.split(command_of("power-of-depth", True, {"tasks": value}))
    read = read_settings([change])["tasks"]

    assert start == ["fathometer", "study", "power-of-depth", "--quick", "--set"]
    assert (tuple(read) if isinstance(read, list) else read) == value


def test_a_folder_keeps_the_study(tmp_path: Path) -> None:
    """Cells and options are written; the second call gives the same rows with the same times: nothing was measured again."""
    first, second = (fm.study("power-of-depth", options=OPTIONS, folder=tmp_path, progress=lambda *facts: None) for _ in range(2))

    assert first.rows == second.rows
    assert json.loads((tmp_path / "study.json").read_text())["study"] == "power-of-depth"


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        ({"name": "trainabilty"}, 'Did you mean "trainability"'),
        ({"name": "trainability", "options": {"depth": (3,)}}, 'Did you mean "depths"'),
        ({"name": "trainability", "options": {"depths": 3}}, "`depths` is 3"),
        ({"name": "trainability", "options": {"steps": "many"}}, "`steps` is 'many'"),
        ({"name": "trainability", "workers": 0}, "`workers` is 0"),
    ],
)
def test_what_there_is_not_is_refused(settings: dict, given: str) -> None:
    """A wrong study, option or number of workers is an error with the nearest right one."""
    with pytest.raises(SpecError, match=given):
        fm.study(**settings, quick=True, progress=lambda *facts: None)


def test_a_scheduler_that_is_not_there_is_an_error() -> None:
    """An address at which nothing answers, or that is none, says so."""
    pytest.importorskip("distributed")
    with pytest.raises(TargetError, match="No Dask scheduler answers"), dask_executor("nonsense://here"):
        pass


@pytest.mark.parametrize("name", list(STUDIES))
def test_every_study_is_documented(name: str) -> None:
    """A study has a claim, caveats, papers, and a quick form that changes options that it has."""
    question = STUDIES[name]

    assert question.claim.endswith(".")
    assert len(question.caveats) >= 2
    assert question.citations
    assert set(question.quick) <= set(question.options)
    cells = [json.dumps(cell, sort_keys=True) for group in question.cells(question.options) for cell in group]
    assert len(cells) == len(set(cells)) > 0
