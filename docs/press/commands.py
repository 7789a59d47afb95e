"""The command line, from the texts that its tests pin."""

import re
from pathlib import Path

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"
COMMAND = re.compile(r"^fathometer (\w+) ?(.*)$")


def commands(_: str = "") -> str:
    """Return a section for each command: what it does, its exit codes, its options."""
    texts = re.split(r"\n(?=fathometer \w+ )", (GOLDEN / "cli_help.txt").read_text(encoding="utf-8"))
    return "\n\n".join(section(text) for text in texts)


def section(text: str) -> str:
    """Return one command's section."""
    head, _, rest = text.partition("\n")
    name, given = COMMAND.match(head).groups()
    words, _, arguments = rest.partition("Args:\n")
    options = set(given.split())
    rows = [row(argument, meaning, options) for argument, meaning in parsed(arguments)]
    parts = [f"({name})=\n## fathometer {name}", words.strip()]
    return "\n\n".join([*parts, "\n".join(["| option | what it does |", "|---|---|", *rows])] if rows else parts)


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
