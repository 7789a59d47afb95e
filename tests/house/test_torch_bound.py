"""Every line that installs torch keeps it under the version that is too big."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BOUND = ">=2.7,<2.14"
FILES = [path for name in ("*.md", "*.toml", "Makefile", ".ci/*", "docs/**/*.md") for path in sorted(ROOT.glob(name))]
INSTALLS = re.compile(r"""(?:pip|uv)3? (?:\w+ )*(?:install|add)\b.*[\s"']torch\b|^\s*["']torch\b""")


def unbound(text: str) -> list[str]:
    """Return the lines that install torch without the bound."""
    return [line for line in text.splitlines() if INSTALLS.search(line) and f"torch{BOUND}" not in line.replace(" ", "")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_line_that_installs_torch_has_the_bound(path: Path) -> None:
    """A requirement or an install command that names torch carries the bound."""
    assert unbound(path.read_text(encoding="utf-8")) == []


def test_the_project_and_its_dev_extra_have_the_bound() -> None:
    """The dependencies and the dev extra each bound torch, so that no package in them lifts it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert f"torch{BOUND}" in project["dependencies"]
    assert f"torch{BOUND}" in project["optional-dependencies"]["dev"]


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("pip install torch", True),
        ("python -m pip install --quiet 'torch>=2.7'", True),
        ('  "torch",', True),
        ('  "torch>=2.7,<2.14",  # why', False),
        ("pip install -e '.[dev]'", False),
        ("pip install 'torch >=2.7, <2.14'", False),
        ("pip install torchmetrics", False),
    ],
)
def test_an_unbound_line_is_seen(line: str, seen: bool) -> None:
    """A line that installs torch without the bound is found; another line is not."""
    assert bool(unbound(line)) == seen
