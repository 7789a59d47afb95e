"""Text under glass: what users read is compared with a file."""

import os
from collections.abc import Callable
from pathlib import Path

import jaxtyping
import pytest

FOLDER = Path(__file__).parent
WRITE = "FATHOMETER_GOLDEN"  # FATHOMETER_GOLDEN=write pytest tests/golden  writes the files anew, on purpose


@pytest.fixture(autouse=True)
def as_a_user_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn the type checks of the tests off: a user's wrong type must meet our own error."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Return a function that compares a text with `tests/golden/NAME.txt`."""
    return compare


def compare(name: str, text: str, folder: Path = FOLDER) -> None:
    """Fail unless the text is that of the file; with FATHOMETER_GOLDEN=write, write the file and skip."""
    path = folder / f"{name}.txt"
    if os.environ.get(WRITE) == "write":
        path.write_text(text, encoding="utf-8")
        pytest.skip(f"{path.name} was written")
    assert path.exists(), f"There is no {path.name}. Write it: {WRITE}=write pytest tests/golden"
    assert text.splitlines() == path.read_text(encoding="utf-8").splitlines()
