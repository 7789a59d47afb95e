"""Where results are written."""

from pathlib import Path

import pytest

from fathometer.errors import TargetError
from fathometer.files import check_path, write


def test_a_file_is_written_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    """Text is written as UTF-8 with its own line ends, in place of what was there."""
    path = tmp_path / "page.html"
    path.write_text("old")

    assert path == write(path, "é\n")
    assert "é\n".encode() == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("place", [".", "missing/page.html"], ids=["a folder", "in no folder"])
def test_a_path_that_cannot_be_written_is_said_before_the_work(tmp_path: Path, place: str) -> None:
    """The error says which path and why."""
    with pytest.raises(TargetError, match="cannot be written"):
        check_path(tmp_path / place)
    with pytest.raises(TargetError, match="cannot be written"):
        write(tmp_path / place, b"")
