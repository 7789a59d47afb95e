"""Nothing in the repository belongs to one machine only."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.~])/(?:work|root|tmp|home|Users|mnt)/|[A-Z]:\\\\Users|file:///"),
    "a registry": re.compile(r"pythonhosted|pypi\.org|download\.pytorch|(?:--|extra-)index-url"),
    "a package that does not fit here": re.compile(
        r"""(?:^|\s)(?:import|from)\s+(?:torchvision|torchaudio|timm)\b|["'](?:torchvision|torchaudio|timm)\s*[\["'<>=~]"""
    ),
}


def problems(text: str) -> list[str]:
    """Return what a text holds that belongs to one machine, line by line."""
    return [
        f"line {number}: {what}"
        for number, line in enumerate(text.splitlines(), 1)
        for what, pattern in FORBIDDEN.items()
        if pattern.search(line)
    ]


def text_files() -> dict[str, str]:
    """Return the text of every file that is, or is about to be, in the repository; this one holds the words itself."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    found = {}
    for name in names:
        path = ROOT / name
        if path.is_file() and path.name != Path(__file__).name and path.suffix not in (".png", ".gz"):
            found[name] = path.read_text(encoding="utf-8")
    return found


def test_no_file_names_a_machine_or_a_registry() -> None:
    """No file in the repository holds a path of one machine, a registry, or a package that does not fit."""
    assert {name: found for name, text in text_files().items() if (found := problems(text))} == {}


@pytest.mark.parametrize(
    ("line", "count"),
    [
        (f'open("/{"tmp"}/x.txt")', 1),
        ("see file:///home/me", 2),
        ("pip install --index-url x torch", 1),
        ("from torchvision import models", 1),
        ('"timm>=1.0",', 1),
        (f"src/{'tmp'}/x and ./{'work'}/ and a/{'home'}/b", 0),
        ("estimate the time", 0),
    ],
)
def test_a_machine_path_is_seen(line: str, count: int) -> None:
    """A machine's path, a registry and a package that does not fit are named; plain words are not."""
    # "file:///home/" is one match of one pattern on one line.
    assert len(problems(line)) == min(count, 1)
