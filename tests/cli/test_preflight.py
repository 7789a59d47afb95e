"""`fathometer preflight`: verdicts, exit codes, files and plain text."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fathometer.cli.preflight import exit_code
from fathometer.diagnosis import Preflight

Write, Run = Callable[..., Path], Callable[..., Any]
HEALTHY = "def target(): return net(3), (x, y)\n"
SICK = "def target(): return net(25), (x, y)\n"
UNKNOWN = "import fathometer as fm\ndef target(): return fm.build('pre-norm-96@depth=8'), (torch.randn(1, 64), y[:1])\n"


@pytest.mark.parametrize(
    ("verdict", "fail_on", "code"),
    [
        ("healthy", "will-not-train", 0),
        ("at risk", "will-not-train", 0),
        ("will not train", "will-not-train", 1),
        ("unknown", "will-not-train", 3),
        ("healthy", "at-risk", 0),
        ("at risk", "at-risk", 1),
        ("will not train", "at-risk", 1),
        ("unknown", "at-risk", 3),
        ("healthy", "never", 0),
        ("at risk", "never", 0),
        ("will not train", "never", 0),
        ("unknown", "never", 0),
    ],
)
def test_exit_codes(verdict: str, fail_on: str, code: int) -> None:
    """0 healthy or at risk, 1 will not train, 3 unknown; --fail-on moves where 1 begins."""
    assert exit_code(verdict, fail_on) == code


@pytest.mark.parametrize(
    ("text", "options", "code"), [(HEALTHY, [], 0), (SICK, [], 1), (SICK, ["--fail-on", "never"], 0), (UNKNOWN, [], 3)]
)
def test_the_verdict_comes_first_and_decides(text: str, options: list[str], code: int, user_file: Write, run: Run) -> None:
    """The first line says the network and the verdict; the exit code follows it."""
    result = run("preflight", f"{user_file(text)}:target", *options)
    verdict = re.match(r"target: (HEALTHY|WILL NOT TRAIN|UNKNOWN)\. ", result.out)

    assert result.code == code
    assert verdict is not None
    assert verdict[1] == {HEALTHY: "HEALTHY", SICK: "WILL NOT TRAIN", UNKNOWN: "UNKNOWN"}[text]
    assert result.err == ""


def test_json_is_all_that_is_printed(user_file: Write, run: Run) -> None:
    """--json prints one JSON text that reads back as the result, whatever the user's own code prints."""
    text = (
        "print('read')\ndef shout(n, x):\n    print('forward')\n    return n(x)\n"
        "def target():\n    print('made')\n    return Wrapped(shout), (x, y)\n"
    )

    result = run("preflight", f"{user_file(text)}:target", "--json")
    check = Preflight.from_json(result.out)

    assert json.loads(result.out)["schema"] == "fathometer.preflight/1"
    assert check.network == "target"
    assert set(result.err.split()) == {"read", "made", "forward"}


def test_files_are_written(tmp_path: Path, run: Run) -> None:
    """--html and --figure write files that the last lines name."""
    page, figure = tmp_path / "page.html", tmp_path / "gradient.svg"

    result = run("preflight", "mlp-5", "--html", page, "--figure", figure)

    assert result.code == 0
    assert result.out.splitlines()[-2:] == [f"Written: {page}", f"Written: {figure}"]
    assert "<svg" in figure.read_text(encoding="utf-8")
    assert "HEALTHY" in page.read_text(encoding="utf-8").upper()


def test_layers_and_ignore(user_file: Write, run: Run) -> None:
    """--layers chooses the depth points, --ignore silences causes."""
    path = user_file(SICK)
    plain = json.loads(run("preflight", f"{path}:target", "--json").out)
    causes = [finding["cause"] for finding in plain["findings"]]

    chosen = run("preflight", f"{path}:target", "--layers", "0", "2", "--json")
    silent = json.loads(run("preflight", f"{path}:target", "--ignore", *causes, "--json").out)

    assert causes
    assert json.loads(chosen.out)["profile"]["points"] == ["0", "2"]
    assert silent["ignored"] == causes
    assert {finding["cause"] for finding in silent["findings"]}.isdisjoint(causes)


def test_every_kind_of_target(user_file: Write, run: Run) -> None:
    """A preset with changes, a spec file, a function that returns a spec, and one that returns a module built from one."""
    spec = user_file('preset = "mlp-5"\ndepth = 3\n', "small.toml", opening="")
    made = user_file(
        "import fathometer as fm\ndef spec(): return fm.Mlp(depth=3)\ndef built(): return fm.build(fm.Mlp(depth=3))\n", opening=""
    )

    for target in ("mlp-5@depth=3", spec, f"{made}:spec", f"{made}:built"):
        table = json.loads(run("preflight", target, "--json").out)
        assert (table["verdict"], len(table["profile"]["points"])) == ("healthy", 3)


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"COLUMNS": "30"}], ids=["a pipe", "NO_COLOR", "narrow"])
def test_text_is_plain_where_nobody_looks(environment: dict[str, str], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on a terminal the text has no escape codes, and no width breaks a line."""
    wide = run("preflight", "mlp-5").out
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    text = run("preflight", "mlp-5").out

    assert "\x1b" not in text
    assert text == wide
