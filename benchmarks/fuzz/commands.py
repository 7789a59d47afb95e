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
WORDS = "0 -1 1 2 0.5 nan inf -inf 1e400 true None off none no/such/file ~nobody/x / . .. [bold] {} [] -- - -x --json x=y a.bmp"
ODD = (*WORDS.split(), "", " ", "\n", "٣", "\udcff", "a\x00b", "é" * 300, "a" * 5000, "9" * 400, "9" * 5000)
NUMBERS = (
    *["0", "-1", "1", "3", "4294967295", "4294967296", "9223372036854775808", "1e3", "0.5", "nan", "inf", "1e-300", "1e300", "٣"],
    "9" * 5000,
)
TARGETS = (
    "mlp-5@depth=2,width=8",
    "gpt2@depth=1,width=16,vocabulary=40,context=8",
    "resnet-20@depth=8,width=2",
    *[
        "net.py:target",
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
    ],
)
PAGES = (
    *["page.html", "none/page.html", ".", "a.png", "a.svg", "a.bmp", "�.html", "run.toml/x.html"],
    "",
    "x" * 300,
    "page\x00.html",
)
NET = """
import torch
from torch import nn


def target():
    torch.manual_seed(0)
    return nn.Linear(3, 2), (torch.randn(9, 3), torch.arange(9) % 2)
"""


@dataclass(frozen=True)
class Option:
    """An option: its name, values that are right and cheap, and whether it is a flag."""

    name: str
    right: tuple[str, ...] = ()
    flag: bool = False


def options(text: str) -> tuple[Option, ...]:
    """Return options from words like "--json --seed=0|7": a flag, and an option with two values that are right."""
    parts = [word.partition("=") for word in text.split()]
    return tuple(Option(name, tuple(right.split("|")), not right) for name, _, right in parts)


HTML, FIGURE = "--html", "--figure"
PICTURES = f"--json --seed=0|7 {HTML}=page.html {FIGURE}=a.svg"
ON_NETWORKS = "--layers=*|blocks.0 --ignore=initial_loss --tokens=4 --fail-on=never --look=quick --method=sampled --full-size"
BUDGETS = "--flops=1e18|1e24 --hours=2 --chips=3 --chip=a100 --tokens=1e9 --law=hoffmann2022 --shape=nanochat --spec=p.toml"
# For each command: the first argument, options, and what is always given so that it ends soon.
COMMANDS: dict[str, tuple[tuple[str, ...], tuple[Option, ...], tuple[str, ...]]] = {
    "preflight": (TARGETS, options(f"{PICTURES} {ON_NETWORKS}"), ()),
    "mend": (TARGETS[3:], options(f"--json --seed=0|7 {HTML}=page.html --code=fix.py"), ("--steps", "1")),
    "train": (("run.toml", "net.toml", "none.toml"), options("--json --set=seed=3 --resume=latest"), ()),
    "follow": (("run", "run/watch.jsonl", "none", "."), options("--json --column=signal --seconds=1"), ("--once",)),
    "study": (
        ("power-of-depth", "clipping", "none"),
        options(f"--json {HTML}=page.html --set=folds=[1,2]"),
        ("--set", "tasks=[]", "--set", "seeds=[0]"),
    ),
    "look": (TARGETS, options(f"{PICTURES} --layers=* --probe=ridge --steps=1"), ()),
    "plan": (("",), options(f"--json {BUDGETS} --utilisation=0.3 --set=context=64|vocabulary=100"), ()),
    "presets": (("",), options("--json"), ()),
    "demo": (("",), options("--seed=0|7 --figure=a.svg"), ("--out", "none/page.html")),
    "lab": (("",), options("--open"), ("--port", "-1")),
    "nothing": (ODD, options("--json"), ()),
}


@st.composite
def commands(draw: st.DrawFn) -> tuple[str, ...]:
    """Draw the arguments of a command: about two thirds of them are right."""
    name = draw(st.sampled_from(sorted({*COMMANDS} - {"nothing"})) if draw(st.integers(0, 29)) else st.just("nothing"))
    first, known, always = COMMANDS[name]
    given = [name, draw(st.sampled_from(first) if draw(st.integers(0, 9)) else st.sampled_from((*ODD, *first)))]
    for option in draw(st.lists(st.sampled_from(known), max_size=3, unique=True)):
        given.append(option.name)
        if not option.flag:
            odd = NUMBERS if option.right[0][0].isdigit() else PAGES if option.name in (HTML, FIGURE) else ODD
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
