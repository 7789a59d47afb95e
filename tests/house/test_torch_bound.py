"""Every line that installs torch keeps it under the version that is too big."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BOUND = ">=2.7,<2.14"
PLACES = ("dependencies", "hf", "lightning", "track", "dev")  # of pyproject.toml, where torch is named
TORCH = re.compile(r"torch(?![\w.-])", re.IGNORECASE)
FILES = [path for name in ("*.md", "*.toml", "Makefile", ".ci/*", "docs/**/*.md") for path in sorted(ROOT.glob(name))]
INSTALLS = re.compile(r"""(?:pip|uv)3? (?:\w+ )*(?:install|add)\b.*[\s"']torch\b|^\s*["']torch\b""")


def unbound(text: str) -> list[str]:
    """Return the lines that install torch without the bound."""
    return [line for line in text.splitlines() if INSTALLS.search(line) and f"torch{BOUND}" not in line.replace(" ", "")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_line_that_installs_torch_has_the_bound(path: Path) -> None:
    """A requirement or an install command that names torch carries the bound."""
    assert unbound(path.read_text(encoding="utf-8")) == []


def of_torch(project: dict[str, Any]) -> dict[str, list[str]]:
    """Return what the dependencies and each extra ask of torch, by name; those that do not name it are left out."""
    asked = {"dependencies": project["dependencies"], **project["optional-dependencies"]}
    found = {name: [line.replace(" ", "") for line in lines if TORCH.match(line)] for name, lines in asked.items()}
    return {name: lines for name, lines in found.items() if lines}


def test_the_dependencies_and_the_extras_have_the_bound() -> None:
    """The dependencies, and each extra whose packages stand on torch, bound it, so that none of them lifts it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert of_torch(project) == {place: [f"torch{BOUND}"] for place in PLACES}


def test_a_place_that_lacks_the_bound_is_seen() -> None:
    """The control: a bound that was not moved, and an extra that names torch without one, are found."""
    extras = {"hf": ["torch>=2.7,<2.13", "transformers"], "dev": ["torch [x]"], "docs": ["torchinfo", "torch-audit"]}

    assert of_torch({"dependencies": [], "optional-dependencies": extras}) == {"hf": ["torch>=2.7,<2.13"], "dev": ["torch[x]"]}


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
