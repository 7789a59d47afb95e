"""Imports go down, and the contract that says so would notice if they did not."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = "import sys; from importlinter.cli import lint_imports_command; sys.argv[1:] = ['--no-cache']; lint_imports_command()"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
# The same kinds of contract as ours, over a tower of three rooms on two floors.
TOWER = f"""
[tool.importlinter]
root_package = "tower"
include_external_packages = true
[[tool.importlinter.contracts]]
name = "down"
type = "{CONTRACTS[0]["type"]}"
containers = ["tower"]
exhaustive = true
layers = ["upper", "left | right"]
[[tool.importlinter.contracts]]
name = "light"
type = "{CONTRACTS[1]["type"]}"
source_modules = ["tower.left"]
forbidden_modules = ["torch"]
"""


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the package in a folder."""
    return subprocess.run([sys.executable, "-c", LINT], cwd=folder, capture_output=True, text=True, timeout=120)


def build_tower(folder: Path, **rooms: str) -> None:
    """Write a package of three rooms, and contracts like ours."""
    (folder / "pyproject.toml").write_text(TOWER)
    (folder / "tower").mkdir()
    for name, text in {"__init__": "", "upper": "", "left": "", "right": "", **rooms}.items():
        (folder / "tower" / f"{name}.py").write_text(text)


def test_imports_go_down() -> None:
    """The import contracts of pyproject.toml hold."""
    result = lint(ROOT)

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("rooms", "broken"),
    [
        ({"upper": "import tower.left"}, None),
        ({"left": "import tower.upper"}, "down"),
        ({"left": "def f():\n    import tower.upper"}, "down"),
        ({"left": "import tower.right"}, "down"),
        ({"attic": ""}, "down"),
        ({"left": "import torch"}, "light"),
        ({"left": "import tower.right", "right": "import torch"}, "light"),
    ],
    ids=["down", "up", "up inside a function", "sideways", "a room on no floor", "torch", "torch by way of a room"],
)
def test_a_wrong_import_breaks_the_contract(tmp_path: Path, rooms: dict[str, str], broken: str | None) -> None:
    """The same kinds of contract refuse an upward, sideways or heavy import, and let a downward one pass."""
    build_tower(tmp_path, **rooms)

    result = lint(tmp_path)

    assert result.returncode == (1 if broken else 0), result.stdout + result.stderr
    assert broken is None or f"{broken} BROKEN" in result.stdout


def test_a_contract_names_every_floor() -> None:
    """The contract is exhaustive: a new room must be given its floor."""
    assert (CONTRACTS[0]["type"], CONTRACTS[0]["exhaustive"], CONTRACTS[1]["forbidden_modules"]) == ("layers", True, ["torch"])
