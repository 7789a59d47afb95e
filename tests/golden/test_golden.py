"""The comparison with golden files would notice a changed word."""

from collections.abc import Callable
from pathlib import Path

import pytest

Compare = Callable[[str, str], None]


def test_a_changed_text_fails(golden: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that differs from its file in one letter fails."""
    monkeypatch.delenv("FATHOMETER_GOLDEN", raising=False)
    text = (Path(__file__).parent / "spec_errors.txt").read_text(encoding="utf-8")

    golden("spec_errors", text)
    with pytest.raises(AssertionError):
        golden("spec_errors", text.replace("e", "é", 1))


def test_a_missing_file_says_how_to_write_it(golden: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text without a file fails and names the command that writes it."""
    monkeypatch.delenv("FATHOMETER_GOLDEN", raising=False)

    with pytest.raises(AssertionError, match="FATHOMETER_GOLDEN=write"):
        golden("nothing_here", "text")


def test_every_golden_file_belongs_to_a_test() -> None:
    """Each file is named in one of the tests beside it, so that none is left behind."""
    folder = Path(__file__).parent
    tests = "".join(path.read_text(encoding="utf-8") for path in folder.glob("test_*.py") if path != Path(__file__))

    assert [path.name for path in folder.glob("*.txt") if f'"{path.stem}"' not in tests] == []
