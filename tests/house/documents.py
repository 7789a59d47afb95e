"""Run the code of the documentation, and write what it prints beneath it."""

import io
import linecache
import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from fathometer.cli import main
from fathometer.studies import STUDIES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLES, PRINTED = ROOT / "examples", DOCS / "tutorials" / "printed"
# These have a test of their own: `test_causes.py` and `test_watching.py`.
ELSEWHERE = ("causes", "watching.md")
# Theory is arithmetic, and printed to as many digits as hold anywhere; of what was measured, the words must be the same.
EXACT = "theory"
FENCE = re.compile(r"^```(?P<head>[^\n`]*)\n(?P<options>(?::\w+:[^\n]*\n)*)(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"[-+−]?\d[\d.,]*(?:[×e][^\s,;)]*)?[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]*|[▁▂▃▄▅▆▇█·]+")
CODE = ("python", "text", "console", "toml", "yaml", "json")
EXIT_CODE = re.compile(r"\s+# exit code (\d)$")
Where = tuple[int, int]


@dataclass(frozen=True)
class Block:
    """One piece of code in a page: its language, the file it is shown as, and where it stands."""

    language: str
    name: str
    code: str
    line: int
    span: Where


@dataclass
class Reader:
    """Somebody who does what a page says, in a folder, and remembers what was printed."""

    page: str
    namespace: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})
    printed: str | None = None

    def follow(self, block: Block) -> Block:
        """Do what a block says; return it with the text that it should have."""
        shown, self.printed = self.printed, None
        if block.name:
            self.keep(block)
        elif block.language == "python":
            self.printed = said(lambda: run(block, self.page, self.namespace))
        elif block.language == "console":
            return replace(block, code="".join(typed(command, out) for command, out in commands(block.code)))
        elif block.language == "text":
            assert shown is not None, f"{self.page}, line {block.line}: nothing was run whose output this could be"
            return replace(block, code=as_far(block.code, shown))
        else:
            raise AssertionError(f"{self.page}, line {block.line}: {block.language} without a file's name is never run")
        return block

    def keep(self, block: Block) -> None:
        """Write a block to the file that it is shown as; run the commands of a workflow."""
        path = Path(block.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.code, encoding="utf-8")
        if block.language == "python":
            compile(block.code, block.name, "exec")
        if block.language == "toml":
            tomllib.loads(block.code)
        for command in steps(yaml.safe_load(block.code)) if block.language == "yaml" else ():
            answered(command)


def pages() -> list[Path]:
    """Return the pages whose code is run here."""
    return [path for path in sorted(DOCS.rglob("*.md")) if path.relative_to(DOCS).parts[0] not in ELSEWHERE]


def blocks(text: str) -> Iterator[Block]:
    """Return the code of a page, block by block; what a directive of Sphinx holds is no code."""
    for found in FENCE.finditer(text):
        head = found["head"].strip()
        language = head.removeprefix("{code-block}").strip()
        if head.startswith("{") and language == head:
            continue
        assert language in CODE, f"line {text[: found.start()].count(chr(10)) + 1}: nobody runs {head!r}"
        name = re.search(r"^:caption: (.*)$", found["options"], re.MULTILINE)
        line = text[: found.start("code")].count("\n")
        yield Block(language, name[1] if name else "", found["code"], line, found.span("code"))


def follow(text: str, page: str) -> list[tuple[Block, Block]]:
    """Do what a page says in the folder we are in; return each block as it stands, and as it should."""
    reader = Reader(page)
    return [(block, reader.follow(block)) for block in blocks(text)]


def run(block: Block, page: str, namespace: dict[str, Any]) -> None:
    """Run a block of Python; newlines in front keep the page's line numbers, and who looks for a line of it finds it."""
    source = "\n" * block.line + block.code
    linecache.cache[page] = (len(source), None, source.splitlines(keepends=True), page)
    exec(compile(source, page, "exec"), namespace)


def said(call: Any) -> str:
    """Return what a call prints."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        call()
    return out.getvalue()


def commands(code: str) -> list[tuple[str, str]]:
    """Return (command, output) for everything that is typed at the prompt of a block."""
    parts = re.split(r"^\$ (.*)\n", code, flags=re.MULTILINE)
    assert parts[0] == "", f"A console begins with its prompt, not with {parts[0]!r}"
    return list(zip(parts[1::2], parts[2::2], strict=True))


def typed(command: str, shown: str) -> str:
    """Return a command with what it prints now, as far as the page shows it; it is run in any case."""
    now = answered(command)
    return f"$ {command}\n{as_far(shown, now) if shown else ''}"


def as_far(shown: str, now: str) -> str:
    """Return what is printed now, as far as a page shows it whose last line is an ellipsis."""
    lines = shown.splitlines()
    if lines[-1:] != ["…"]:
        return now
    return "\n".join([*now.splitlines()[: len(lines) - 1], "…"]) + "\n"


def steps(workflow: Any) -> list[str]:
    """Return the commands of ours that a workflow runs."""
    found = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    return [line for text in found for line in text.splitlines() if line.startswith("fathometer ")]


def answered(command: str) -> str:
    """Return what a command prints; fail where it does not end as the page says. What is not ours is only looked up."""
    words, code = shlex.split(command, comments=True), EXIT_CODE.search(command)
    if words[0] == "fathometer" and command.endswith("# some minutes"):
        assert is_command(words), f"{command!r} is none"
        return ""
    if words[0] == "fathometer":
        ended: list[int] = []
        text = said(lambda: ended.append(ended_with(words[1:])))
        assert ended == [int(code[1]) if code else 0], f"{command!r} ended with {ended[0]}:\n{text}"
        return text
    if words[0] == "python" and Path(words[1]).exists():
        return script(Path(words[1]))
    if words[0] == "pytest":
        done = subprocess.run([sys.executable, "-m", *words, "-q", "-p", "no:cacheprovider"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
        return ""
    assert known(words), f"Nobody can tell whether this works: {command!r}"
    return ""


def is_command(words: list[str]) -> bool:
    """Return whether a command that takes too long to be run has the name and the options that it should have."""
    help_texts = (ROOT / "tests" / "golden" / "cli_help.txt").read_text(encoding="utf-8")
    options = re.search(rf"^fathometer {words[1]} (.*)$", help_texts, re.MULTILINE)
    named = words[1] != "study" or words[2] in STUDIES
    return options is not None and named and {word for word in words if word.startswith("--")} <= set(options[1].split())


def script(path: Path) -> str:
    """Return what a page's own script prints; where what it stands on is not installed, it is not run."""
    wanted = re.findall(r"^(?:import|from) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    if any(find_spec(name) is None for name in wanted):
        return ""
    done = example(path, path.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ended_with(arguments: list[str]) -> int:
    """Return the exit code of our command."""
    os.environ["COLUMNS"] = "100"
    try:
        main(arguments)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def known(words: list[str]) -> bool:
    """Return whether a command that is not ours names what is there: a target of make, an extra, a benchmark, a file."""
    if words[0] == "make":
        return f"\n{words[1]}: " in (ROOT / "Makefile").read_text(encoding="utf-8")
    if words[:2] == ["pip", "install"]:
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
        wanted = re.findall(r"\[([\w,]+)\]", words[-1])
        return all(name in extras for names in wanted for name in names.split(","))
    if words[:3] == ["python", "-m", "benchmarks"]:
        return all((ROOT / "benchmarks" / "results" / f"{name}.json").exists() for name in words[3:])
    return words[0] == "python" and (ROOT / words[1]).exists()


def same(shown: str, now: str, exact: bool) -> bool:
    """Return whether a page shows what was printed: every word of it, and in theory every digit."""
    texts = [text if exact else NUMBER.sub("#", text) for text in (shown, now)]
    first, second = ([line.rstrip() for line in text.splitlines()] for text in texts)
    return first == second


def renewed(text: str, page: str) -> str:
    """Return a page with what its code prints now."""
    for block, now in reversed(follow(text, page)):
        if now.code != block.code:
            code = "\n".join(line.rstrip() for line in now.code.splitlines()) + "\n"
            text = text[: block.span[0]] + code + text[block.span[1] :]
    return text


def example(path: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run an example in a folder, on one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, path], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def write(names: list[str]) -> None:
    """Write what examples and pages print, of all or of those named."""
    for path in (*sorted(EXAMPLES.glob("*.py")), *pages()):
        name = path.relative_to(ROOT).as_posix()
        if names and not any(name.endswith(wanted) for wanted in names):
            continue
        print(name, flush=True)
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            if path.suffix == ".py":
                (PRINTED / f"{path.stem}.txt").write_text(example(path, Path(folder)).stdout, encoding="utf-8")
            else:
                path.write_text(renewed(path.read_text(encoding="utf-8"), name), encoding="utf-8")


if __name__ == "__main__":
    write(sys.argv[1:])
