"""The benchmarks are no package that is installed: find them from the root."""

import sys
from pathlib import Path

import jaxtyping
import pytest

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)


@pytest.fixture
def as_a_user_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn the type checks of the tests off: they make training several times slower."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
