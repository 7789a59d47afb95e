"""What is printed is what was meant: no path is read as markup, and no figure is refused at the end."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from fathometer.cli import show
from fathometer.errors import TargetError
from fathometer.figures.save import _WRITERS
from fathometer.records import Asked, Record

ODD = ["runs[lr=1]/p.html", "[/b].html", "[red]x[/red]", ":smile:"]


def printed(print_on: Callable[[Console], object]) -> str:
    """Return what is printed on a console that is no terminal."""
    text = io.StringIO()
    print_on(Console(file=text, highlight=False, soft_wrap=True))
    return text.getvalue()


@pytest.mark.parametrize("name", ODD)
def test_a_path_is_printed_as_it_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets and colons, which rich reads as markup: of a file, of a run's folder, and in a line of progress."""
    record = Record(Asked(), "finished", (1.0,))
    with show.bar() as progress:
        assert progress is not None
        progress(f"Training {name}", 0, 1)

    assert f"Training {name} …" in capsys.readouterr().err
    assert printed(lambda console: show.show_record(record, Path(name), console=console)).endswith(f"Kept in {name}\n")
    assert f"Written: {name}\n" in printed(lambda console: show._show_written(console, [Path(name)]))


def test_the_bar_of_a_terminal_takes_any_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A description with brackets ends in no error, and is drawn as it is."""
    text = io.StringIO()
    monkeypatch.setattr(show, "Console", lambda **_: Console(file=text, force_terminal=True, width=100))
    with show.bar() as progress:
        assert progress is not None
        progress("Training [/b]", 1, 1)

    assert "Training [/b]" in text.getvalue()


@pytest.mark.parametrize("name", ["p.jpg", "p", "p.PNGG"])
def test_a_figure_of_no_known_format_is_refused_before_the_work(name: str, tmp_path: Path) -> None:
    """The error says the formats; those that figures are saved in are let through, in large letters too."""
    with pytest.raises(TargetError, match=r"The suffix says the format: \.png, \.svg"):
        show.check_outputs(None, tmp_path / name)
    for suffix in (*_WRITERS, ".PNG"):
        show.check_outputs(tmp_path / "page.html", tmp_path / f"p{suffix}")
    with pytest.raises(TargetError, match="there is no folder"):
        show.check_outputs(tmp_path / "none" / "page.html", None)


def test_the_formats_are_those_that_can_be_saved() -> None:
    """One list is for the early word, one for the work."""
    assert list(show.FORMATS) == list(_WRITERS)
