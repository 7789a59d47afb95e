"""One version, said in four places."""

import re
import tomllib
from pathlib import Path

import fathometer

ROOT = Path(__file__).parents[2]


def read(name: str) -> str:
    """Return the text of a file in the root of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def first_release(changelog: str) -> str | None:
    """Return the version of the first release of a changelog, or None."""
    found = re.search(r"^## \[([^\]]+)\] - (Unreleased|\d{4}-\d{2}-\d{2})$", changelog, re.MULTILINE)
    return found[1] if found else None


def test_the_version_is_the_same_everywhere() -> None:
    """pyproject.toml, the package, the newest entry of the changelog and the citation name one version."""
    project = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    citation = re.search(r"^version: (\S+)$", read("CITATION.cff"), re.MULTILINE)

    assert [fathometer.__version__, first_release(read("CHANGELOG.md")), citation and citation[1]] == [project] * 3


def test_the_newest_release_is_the_first_in_the_changelog() -> None:
    """The first heading with a date or "Unreleased" counts; a heading without one does not."""
    assert first_release("# Changelog\n\n## [2.0] - 2027-01-31\n\n## [1.0] - 2026-12-01\n") == "2.0"
    assert first_release("## 2.0\n") is None
