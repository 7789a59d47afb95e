"""What is on disk is what a clone gets."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = (".py", ".css", ".js", ".txt", ".md")


def ignored(folder: Path, *under: str) -> list[str]:
    """Return the sources that git would leave out because a pattern of .gitignore fits them."""
    command = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "--", *under]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in found if name.endswith(SOURCES)]


@pytest.mark.skipif(shutil.which("git") is None or not (ROOT / ".git").exists(), reason="not a git checkout")
def test_no_source_is_ignored() -> None:
    """No file of the package, its tests, examples or benchmarks is hidden from the repository by .gitignore."""
    assert ignored(ROOT, "src", "tests", "examples", "benchmarks") == []


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_room_that_is_ignored_is_seen(tmp_path: Path) -> None:
    """A pattern that was meant for results at the root, and fits a room as well, is noticed."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "src" / "runs").mkdir(parents=True)
    (tmp_path / "src" / "runs" / "run.py").touch()

    (tmp_path / ".gitignore").write_text("/runs/\n")
    assert ignored(tmp_path, "src") == []
    (tmp_path / ".gitignore").write_text("runs/\n")
    assert ignored(tmp_path, "src") == ["src/runs/run.py"]
