"""What the tests of planted faults share: the verdict on three strengths of one fault."""

from collections.abc import Callable, Iterable

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
