"""Arguments of every command, most of them wrong, on networks that cost little."""

import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from hypothesis import strategies as st

from benchmarks.fuzz.kind import LONGEST_ERROR, Kind
from benchmarks.fuzz.records import ROWS
from benchmarks.fuzz.run_files import RIGHT
from benchmarks.fuzz.values import json_bytes
from fathometer.cli import main

CODES = {0, 1, 2, 3, 130}
SENTENCE_END = re.compile(r"[.?!:](\s|$)")
ODD = (
    "",
    " ",
    "0",
    "-1",
    "1",
    "2",
    "0.5",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "9" * 400,
    "9" * 5000,
    "٣",
    "true",
    "None",
    "off",
    "\udcff",
    "a\x00b",
)
ODD += (
    "none",
    "no/such/file",
    "~nobody/x",
    "/",
    ".",
    "..",
    "é" * 300,
    "a" * 5000,
    "\n",
    "[bold]",
    "{}",
    "[]",
    "--",
    "-",
    "-x",
    "--json",
    "x=y",
    "a.bmp",
)
NUMBERS = (
    "0",
    "-1",
    "1",
    "3",
    "4294967295",
    "4294967296",
    "9223372036854775808",
    "1e3",
    "0.5",
    "nan",
    "inf",
    "1e-300",
    "1e300",
    "٣",
    "9" * 5000,
)
TARGETS = ("mlp-5@depth=2,width=8", "gpt2@depth=1,width=16,vocabulary=40,context=8", "resnet-20@depth=8,width=2", "net.py:target")
TARGETS += (
    "net.toml",
    "net.py:nothing",
    "net.py",
    "broken.py:target",
    "none.toml",
    "mlp-5@",
    "mlp-5@width=0",
    "hf:here",
    "hf:",
    "hf:/",
    ":",
    "@",
)
PAGES = (
    "page.html",
    "none/page.html",
    ".",
    "",
    "a.png",
    "a.svg",
    "a.bmp",
    "x" * 300,
    "page\x00.html",
    "\udcff.html",
    "run.toml/x.html",
)
NET = "import torch\nfrom torch import nn\ndef target():\n    torch.manual_seed(0)\n    return nn.Linear(3, 2), (torch.randn(9, 3), torch.arange(9) % 2)\n"


@dataclass(frozen=True)
class Option:
    """An option: its name, values that are right and cheap, and whether it is a flag."""

    name: str
    right: tuple[str, ...] = ()
    flag: bool = False


JSON, SEED = Option("--json", flag=True), Option("--seed", ("0", "7"))
HTML, FIGURE = Option("--html", PAGES[:1]), Option("--figure", ("a.svg",))
# For each command: the first argument, options, and what is always given so that it ends soon.
COMMANDS: dict[str, tuple[tuple[str, ...], tuple[Option, ...], tuple[str, ...]]] = {
    "preflight": (
        TARGETS,
        (
            JSON,
            SEED,
            HTML,
            FIGURE,
            Option("--layers", ("*", "blocks.0")),
            Option("--ignore", ("initial_loss",)),
            Option("--tokens", ("4",)),
        )
        + (
            Option("--fail-on", ("never",)),
            Option("--look", ("quick",)),
            Option("--method", ("sampled",)),
            Option("--full-size", flag=True),
        ),
        (),
    ),
    "mend": (TARGETS[3:], (JSON, SEED, HTML, Option("--code", ("fix.py",))), ("--steps", "1")),
    "train": (("run.toml", "net.toml", "none.toml"), (JSON, Option("--set", ("seed=3",)), Option("--resume", ("latest",))), ()),
    "follow": (
        ("run", "run/watch.jsonl", "none", "."),
        (JSON, Option("--column", ("signal",)), Option("--seconds", ("1",))),
        ("--once",),
    ),
    "study": (
        ("power-of-depth", "clipping", "none"),
        (JSON, HTML, Option("--set", ("folds=[1, 2]",))),
        ("--set", "tasks=[]", "--set", "seeds=[0]"),
    ),
    "look": (
        TARGETS,
        (JSON, SEED, HTML, FIGURE, Option("--layers", ("*",)), Option("--probe", ("ridge",)), Option("--steps", ("1",))),
        (),
    ),
    "plan": (
        ("",),
        (
            JSON,
            Option("--flops", ("1e18", "1e24")),
            Option("--hours", ("2",)),
            Option("--chips", ("3",)),
            Option("--chip", ("a100",)),
        )
        + (
            Option("--tokens", ("1e9",)),
            Option("--law", ("hoffmann2022",)),
            Option("--shape", ("nanochat",)),
            Option("--spec", ("p.toml",)),
        )
        + (Option("--utilisation", ("0.3",)), Option("--set", ("context=64", "vocabulary=100"))),
        (),
    ),
    "presets": (("",), (JSON,), ()),
    "demo": (("",), (SEED, FIGURE), ("--out", "none/page.html")),
    "lab": (("",), (Option("--open", flag=True),), ("--port", "-1")),
    "nothing": (ODD, (JSON,), ()),
}


@st.composite
def commands(draw: st.DrawFn) -> tuple[str, ...]:
    """Draw the arguments of a command: about two thirds of them are right."""
    name = draw(st.sampled_from(sorted({*COMMANDS} - {"nothing"})) if draw(st.integers(0, 29)) else st.just("nothing"))
    first, options, always = COMMANDS[name]
    given = [name, draw(st.sampled_from(first) if draw(st.integers(0, 9)) else st.sampled_from((*ODD, *first)))]
    for option in draw(st.lists(st.sampled_from(options), max_size=3, unique=True)):
        given.append(option.name)
        if not option.flag:
            odd = NUMBERS if option.right[0][0].isdigit() else PAGES if option in (HTML, FIGURE) else ODD
            value = draw(st.sampled_from(option.right) if draw(st.integers(0, 2)) else st.sampled_from(odd))
            given.append(f"{value}={draw(st.sampled_from(ODD))}" if option.name == "--set" and "=" not in value else value)
    if not draw(st.integers(0, 19)):
        given.insert(draw(st.integers(0, len(given))), draw(st.sampled_from(ODD)))
    return tuple(part for part in (*given, *always) if part or part not in first)


def write_folder(folder: Path) -> None:
    """Write what the arguments name: a network, specs, a run and its log."""
    (folder / "net.py").write_text(NET, encoding="utf-8")
    (folder / "broken.py").write_text("def target(:\n", encoding="utf-8")
    (folder / "net.toml").write_text('family = "mlp"\ndepth = 2\nwidth = 8\n', encoding="utf-8")
    (folder / "run.toml").write_text(RIGHT.format(data="parity", options="bits = 4\nsamples = 8\n"), encoding="utf-8")
    (folder / "here").mkdir()
    (folder / "run").mkdir()
    (folder / "run" / "watch.jsonl").write_bytes(b"".join(json_bytes(row) + b"\n" for row in ROWS))


@contextmanager
def at(folder: Path) -> Iterator[None]:
    """Work in a folder, and come back."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run(arguments: tuple[str, ...]) -> tuple[int, str, str]:
    """Return the exit code of a command and all that it printed, as a terminal in UTF-8 would have it."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=how) for how in ("strict", "backslashreplace"))
    code: object = None
    with TemporaryDirectory() as home, at(Path(home)), redirect_stdout(out), redirect_stderr(err):
        write_folder(Path(home))
        try:
            with patch.object(sys, "argv", ["fathometer", *arguments]):
                main(list(arguments))
        except SystemExit as ended:
            code = ended.code
        texts = []
        for stream in (out, err):
            stream.flush()
            texts.append(stream.buffer.getvalue().decode())  # pyrefly: ignore[missing-attribute]
    assert isinstance(code, int), f"it ended with {code!r}"
    return code, texts[0], texts[1]


class TracebackError(AssertionError):
    """A command that ended in a traceback; `where` is the last place of ours in it."""

    def __init__(self, text: str) -> None:
        places = [line.strip() for line in text.splitlines() if line.strip().startswith("File") and "/fathometer/" in line]
        self.where = places[-1].rpartition("/fathometer/")[2].replace('", line ', ":").replace(", in", "") if places else "?"
        super().__init__(text.strip().splitlines()[-1])


def check_command(arguments: tuple[str, ...]) -> bool:
    """Raise unless a command ends with one of its codes, and an error has the three parts; no text is a traceback."""
    code, out, err = run(arguments)
    if "Traceback" in err:
        raise TracebackError(err)
    assert code in CODES, f"it ended with {code}"
    if code != 2:
        return True
    assert err.strip(), "it ended with 2, and said nothing"
    words = err.rpartition("error: ")[2]
    if err.startswith(("╭─ ", "usage")) or "───" in err or "error: " not in err:
        return False  # of the reader of arguments, which has its own form
    assert len(SENTENCE_END.findall(words)) >= 3, words[:500]
    assert len(words) < LONGEST_ERROR
    if "--json" in arguments:
        table = json.loads(out)
        assert all(table[part].strip() for part in ("given", "expected", "mend"))
    return False


PINNED = (
    ("preflight", "net.toml", "--full-size"),  # an assertion of ours, of a network too small for it
    ("mend", "net.py:target", "--seed", "-1", "--steps", "1"),
    ("look", "net.toml", "--seed", str(2**64)),
    ("demo", "--seed", "-1"),
    ("plan", "--flops", "1e18", "--spec", "9" * 400),  # a name that no file can have
    ("preflight", f"{'n' * 300}.py:target"),
    ("preflight", "net.py:target", "--html", "page\x00.html"),
    ("train", "run.toml", "--set", "training.steps=3\nx=1"),
    ("plan", "--flops", "1e18", "--set", "context=64\nvocabulary=3"),
)
KINDS = (Kind("command", commands(), check_command, 40, 12, PINNED),)
