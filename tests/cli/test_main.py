"""The command itself: help without torch, exit codes, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fathometer.cli import main as main_module
from fathometer.cli.main import COMMANDS, main


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    line = [sys.executable, "-m", "fathometer", *arguments]
    return subprocess.run(line, capture_output=True, text=True, env={**os.environ, **environment}, timeout=120)


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_needs_no_torch(arguments: list[str]) -> None:
    """Every --help is printed, with exit code 0, before torch or anything drawn is imported."""
    program = (
        "import sys\nfrom fathometer.cli import main\n"
        f"try:\n    main({arguments})\nexcept SystemExit as ended:\n    code = ended.code\n"
        "heavy = sorted({'torch', 'altair', 'scipy', 'sklearn', 'numpy'} & set(sys.modules))\n"
        "print('CODE', code, 'HEAVY', heavy)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert done.stdout.splitlines()[-1] == "CODE 0 HEAVY []", done.stderr


def test_ctrl_c_says_one_line(user_file: Callable[..., Path], run: Callable[..., Any]) -> None:
    """An interrupt ends with 130 and one line, also from inside a model."""
    text = "def stop(n, x): raise KeyboardInterrupt\ndef target(): return Wrapped(stop), (x, y)\n"

    result = run("preflight", f"{user_file(text)}:target")

    assert (result.code, result.out, result.err) == (130, "", "Stopped. Nothing was changed.\n")


@pytest.mark.slow
def test_a_real_ctrl_c_says_one_line(user_file: Callable[..., Path]) -> None:
    """A SIGINT during a long forward pass ends the process with 130 and no traceback."""
    text = (
        "import time\ndef wait(n, x):\n    print('waiting', flush=True)\n    time.sleep(60)\n"
        "def target(): return Wrapped(wait), (x, y)\n"
    )
    process = started("preflight", f"{user_file(text)}:target")
    assert process.stderr is not None
    assert process.stderr.readline() == "waiting\n"
    time.sleep(0.2)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (130, "", "Stopped. Nothing was changed.\n")


@pytest.mark.slow
def test_ctrl_c_at_full_size_says_one_line() -> None:
    """A SIGINT while 175 billion parameters pass ends the process with 130 and no traceback."""
    process = started("preflight", "gpt3-175b", "--full-size")
    assert process.stderr is not None
    while "block" not in (line := process.stderr.readline()):
        assert line, "it ended before a block had passed"

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "Stopped. Nothing was changed."
    assert "Traceback" not in err


def started(*arguments: str) -> "subprocess.Popen[str]":
    """Start the command line as a process that hears SIGINT."""
    # A shell that starts tests in the background has them ignore SIGINT, and a child inherits that.
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    line = [sys.executable, "-m", "fathometer", *arguments]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen)


def test_a_fault_of_ours_does_not_read_as_a_verdict(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An error that nobody expected ends with 2 and its traceback; Python's own 1 would say "will not train"."""

    def broken(json: bool = False) -> int:
        """Fail."""
        raise ZeroDivisionError

    monkeypatch.setitem(COMMANDS, "presets", broken)
    with pytest.raises(SystemExit) as ended:
        main(["presets"])

    assert ended.value.code == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_has_gone_is_no_error() -> None:
    """`fathometer presets | head -c 0` ends quietly, as other commands do, and not with the code of a verdict."""
    done = subprocess.run(
        f"{sys.executable} -m fathometer presets | head -c 0; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.stdout, done.stderr) == ("141\n", "")


@pytest.mark.parametrize("arguments", [[], ["preflgiht"], ["preflight"], ["preflight", "mlp-5", "--nope"]], ids=" ".join)
def test_a_command_line_that_cannot_be_read_ends_with_two(arguments: list[str]) -> None:
    """A missing or unknown command, TARGET or option ends with 2, nothing on stdout."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2


def test_the_door_is_one_function() -> None:
    """`fathometer.cli` hands out `main`."""
    assert main_module is main


def test_an_error_is_json_where_json_was_asked_for(run: Callable[..., Any]) -> None:
    """With --json an error is a table on standard output, and still one paragraph for people beside it."""
    result = run("preflight", "relu-5o", "--json")
    table = json.loads(result.out)

    assert result.code == 2
    assert table["schema"] == "fathometer.error/1"
    assert table["error"] == "TargetError"
    assert result.err.startswith(f"error: {table['given']}")
    assert run("preflight", "relu-5o").out == ""


def test_nothing_after_at_is_refused(run: Callable[..., Any]) -> None:
    """`preset@` and a trailing comma name no change, and are no preset by themselves."""
    for target in ("relu-50@", "relu-50@depth=3,"):
        result = run("preflight", target)
        assert (result.code, "Nothing is named after @" in result.err) == (2, True)
