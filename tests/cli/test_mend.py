"""`fathometer mend`: the remedy as code, and how it ends."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fathometer.diagnosis import Fix

Write, Run = Callable[..., Path], Callable[..., Any]
TEACHER = """
x = torch.randn(320, 16)
y = (x @ torch.randn(16, 4)).argmax(1)


def small():
    torch.manual_seed(0)
    return net(1), (x, y)


def deep():
    torch.manual_seed(0)
    return net(20), (x, y)


def noise():
    torch.manual_seed(0)
    return net(20), (x, torch.randint(0, 4, (320,)))
"""


def test_nothing_to_mend(user_file: Write, run: Run) -> None:
    """A network that is healthy and trains ends with 0 and says so."""
    result = run("mend", f"{user_file(TEACHER)}:small", "--steps", "40")

    assert result.code == 0
    assert result.out.startswith("Nothing to mend: small is healthy and trains")
    assert "The code" not in result.out


def test_a_sick_network_is_mended(user_file: Write, run: Run, tmp_path: Path) -> None:
    """The code is printed and written, the report too, and JSON reads back as the same proof."""
    path, code, page = user_file(TEACHER), tmp_path / "fix.py", tmp_path / "fix.html"

    result = run("mend", f"{path}:deep", "--steps", "40", "--code", code, "--html", page)
    as_json = run("mend", f"{path}:deep", "--steps", "40", "--json")
    fix = Fix.from_json(as_json.out)

    assert (result.code, as_json.code) == (0, 0)
    assert fix.proved is not None
    assert fix.evidence == result.out.splitlines()[0]
    assert code.read_text(encoding="utf-8") == fix.code
    assert fix.code.strip() in result.out
    assert page.stat().st_size > 10_000  # a page with its charts, not an empty one
    assert as_json.err == ""
    assert "the network as it is" in result.err  # progress, line by line where there is no terminal


@pytest.mark.slow
def test_what_cannot_be_mended_ends_with_one(user_file: Write, run: Run) -> None:
    """Targets without any relation to the inputs cannot be learnt: no remedy is proved, and it says so."""
    result = run("mend", f"{user_file(TEACHER)}:noise", "--steps", "40")
    table = json.loads(run("mend", f"{user_file(TEACHER)}:noise", "--steps", "40", "--json").out)

    assert result.code == 1
    assert result.out.startswith("No remedy was proved to work on noise")
    assert {attempt["outcome"] for attempt in table["tried"]} == {"did not help"}


def test_no_steps_are_refused(run: Run) -> None:
    """A run of 0 steps is refused in one line."""
    result = run("mend", "mlp-5", "--steps", "0")

    assert (result.code, result.out) == (2, "")
    assert "`steps` is 0" in result.err
