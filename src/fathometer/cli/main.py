"""The `fathometer` command: which verbs there are, and how it ends."""

import os
import signal
import sys
import traceback
from io import TextIOWrapper

import tyro

from fathometer import json_text
from fathometer.cli.demo import demo
from fathometer.cli.follow import follow
from fathometer.cli.lab import lab
from fathometer.cli.look import look
from fathometer.cli.mend import mend
from fathometer.cli.plan import plan
from fathometer.cli.preflight import preflight
from fathometer.cli.presets import presets
from fathometer.cli.stopping import BY_SIGNAL, in_order
from fathometer.cli.study import study
from fathometer.cli.train import train
from fathometer.errors import FathometerError
from fathometer.memory import explained, ran_out

COMMANDS = {
    "demo": demo,
    "preflight": preflight,
    "mend": mend,
    "train": train,
    "follow": follow,
    "lab": lab,
    "study": study,
    "plan": plan,
    "look": look,
    "presets": presets,
}
READER_GONE = 141  # as a shell says it: 128 + SIGPIPE
DESCRIPTION = "Makes depth work: tells before training whether a deep network will train, and proves the fix."


def main(args: list[str] | None = None) -> None:
    """Run one command and exit: 0 fine, 1 will not train, 2 an error that says how to mend it, 3 unknown."""
    _say_what_can_be_said()
    with in_order() as came:
        code = _run(args)
    stopped = BY_SIGNAL + signal.SIGINT
    sys.exit(BY_SIGNAL + came[0] if came and code == stopped else code)


def _run(args: list[str] | None) -> int | str | None:
    """Run one command and return its exit code; whatever it raises has been said."""
    try:
        code = tyro.extras.subcommand_cli_from_dict(COMMANDS, args=args, prog="fathometer", description=DESCRIPTION)
        sys.stdout.flush()
    except FathometerError as problem:
        if "--json" in (sys.argv[1:] if args is None else args):
            print(_as_json(problem))
        _say(f"error: {problem}")
        code = 2
    except KeyboardInterrupt as stop:
        lost = stop.__context__  # of several processes one is gone, and torchrun ends this one while it is about to say so
        _say(f"error: {lost}" if isinstance(lost, FathometerError) else "Stopped. Nothing was changed.")
        code = 2 if isinstance(lost, FathometerError) else BY_SIGNAL + signal.SIGINT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = READER_GONE
    except SystemExit as ended:
        code = READER_GONE if ended.code == 1 else ended.code  # rich ends with 1 where the reader has gone
    except Exception as problem:
        code = 2
        if ran_out(problem):
            _say(f"error: {explained(problem, 'and nothing was changed')}")
        else:  # a fault of ours: Python's own exit code, 1, would read as "will not train"
            traceback.print_exc()
    return code


def _say_what_can_be_said() -> None:
    """Let standard output write codes for letters that its encoding lacks, in place of falling over them."""
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _as_json(problem: FathometerError) -> str:
    """Return an error for a program to read: what was given, what was expected, how to mend it."""
    words = {"given": problem.given, "expected": problem.expected, "mend": problem.mend}
    return json_text.dump({"schema": "fathometer.error/1", "error": type(problem).__name__, **words})


def _say(text: str) -> None:
    from rich.console import Console

    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(text)
