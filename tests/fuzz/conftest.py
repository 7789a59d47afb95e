"""The fuzz meets the library as a user has it."""

import jaxtyping
import pytest


@pytest.fixture(autouse=True)
def as_a_user_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn the type checks of the tests off: a user's wrong type must meet our own error."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
