"""What tests of laws share: the verdict on three strengths of one fault, and where public results lie."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from fathometer.diagnosis import Preflight

ORDER = ("healthy", "unknown", "at risk", "will not train")


@pytest.fixture
def named_and_graded() -> Callable[[Iterable[Preflight], tuple[str, ...]], None]:
    """Return what asserts that a fault, the strongest first, is named first each time and never judged milder for more of it."""

    def check_all(checks: Iterable[Preflight], causes: tuple[str, ...]) -> None:
        checks = list(checks)
        verdicts = [ORDER.index(check.verdict) for check in checks]

        assert [check.findings[0].cause for check in checks if check.findings[0].cause not in causes] == []
        assert [finding.cause for check in checks for finding in check.findings[:1] if finding.severity == "note"] == []
        assert min(verdicts) >= ORDER.index("at risk")
        assert verdicts == sorted(verdicts, reverse=True)

    return check_all


@pytest.fixture
def silent() -> Callable[[Preflight], bool]:
    """Return what says whether a network was found healthy, with nothing above a note."""
    return lambda check: check.verdict == "healthy" and all(finding.severity == "note" for finding in check.findings)


@pytest.fixture
def public_data() -> Callable[[str], Path]:
    """Return what finds a file of public results, which are not ours to copy; the test is skipped where there is none.

    They lie in FATHOMETER_DATA, or in a folder `shared/data` beside one of the folders that this is in.
    """
    named = os.environ.get("FATHOMETER_DATA")
    homes = [Path(named)] if named else [parent / "shared" / "data" for parent in Path(__file__).resolve().parents]

    def find(name: str) -> Path:
        found = next((home / name for home in homes if (home / name).exists()), None)
        if found is None:
            pytest.skip(f"{name} is not here: say where with FATHOMETER_DATA")
        return found

    return find
