"""What a user waits for before anything happens: nothing heavy is imported."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "sklearn", "altair", "pandas")
COMMAND = """
from contextlib import redirect_stdout
from io import StringIO
from fathometer.cli import main
sys.argv = ["fathometer", {arguments}]
with redirect_stdout(StringIO()) as shown:
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, stop.code
assert "usage" in shown.getvalue().lower(), shown.getvalue()
"""


def heavy_after(code: str) -> list[str]:
    """Return the heavy packages that a fresh Python holds after running the code."""
    script = f"import sys\n{code}\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


@pytest.mark.parametrize("code", ["import fathometer", "import fathometer; dir(fathometer); fathometer.Mlp(depth=96)"])
def test_importing_is_light(code: str) -> None:
    """Importing the package, and naming a network, import nothing heavy."""
    assert heavy_after(code) == []


@pytest.mark.parametrize("verb", [None, "demo", "preflight", "mend", "train", "follow", "plan", "lab", "presets"])
def test_help_is_light(verb: str | None) -> None:
    """`--help` of the command and of each verb shows the usage and imports nothing heavy."""
    arguments = '"--help"' if verb is None else f'"{verb}", "--help"'

    assert heavy_after(COMMAND.format(arguments=arguments)) == []


def test_a_heavy_import_is_seen() -> None:
    """A name that needs torch brings it in, and this is noticed."""
    assert "torch" in heavy_after("import fathometer; fathometer.build")
