"""The command line, from the texts that its tests pin."""

import re
from pathlib import Path

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"
COMMAND = re.compile(r"^fathometer (\w+)((?: --[a-z-]+)*)$", re.MULTILINE)  # an example gives an option a value


def commands(_: str = "") -> str:
    """Return a section for each command: what it does, its exit codes, its options."""
    golden = (GOLDEN / "cli_help.txt").read_text(encoding="utf-8")
    starts = [found.start() for found in COMMAND.finditer(golden)]
    return "\n\n".join(section(golden[start:end]) for start, end in zip(starts, [*starts[1:], None], strict=True))


def section(text: str) -> str:
    """Return one command's section."""
    head, _, rest = text.partition("\n")
    name, given = COMMAND.match(head).groups()
    words, _, arguments = rest.partition("Args:\n")
    options = set(given.split())
    rows = [row(argument, meaning, options) for argument, meaning in parsed(arguments)]
    parts = [f"({name})=\n## fathometer {name}", *map(paragraph, words.strip().split("\n\n"))]
    return "\n\n".join([*parts, "\n".join(["| option | what it does |", "|---|---|", *rows])] if rows else parts)


def paragraph(text: str) -> str:
    """Return a paragraph of help; examples keep their lines."""
    return f"```text\n{text}\n```" if text.startswith("fathometer ") else text


def parsed(arguments: str) -> list[tuple[str, str]]:
    """Return (name, meaning) for every argument, a meaning of several lines as one."""
    found = re.split(r"^ {4}(\w+): ", arguments, flags=re.MULTILINE)[1:]
    return [(name, " ".join(meaning.split())) for name, meaning in zip(found[::2], found[1::2], strict=True)]


def row(argument: str, meaning: str, options: set[str]) -> str:
    """Return the line of one option; what is no option is given by its place."""
    flag, off = f"--{argument.replace('_', '-')}", f"--no-{argument.replace('_', '-')}"
    shown = f"`{argument.upper()}`" if flag not in options else f"`{flag}`, `{off}`" if off in options else f"`{flag}`"
    return f"| {shown} | {meaning.replace('|', chr(92) + '|')} |"


def presets(_: str = "") -> str:
    """Return the list of presets as the command prints it."""
    lines = (GOLDEN / "cli_presets.txt").read_text(encoding="utf-8").splitlines()
    body = "\n".join(line.rstrip() for line in lines[1:-1]).strip()
    return f"```text\n{body}\n```"
