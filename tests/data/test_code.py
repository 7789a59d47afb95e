"""Labels of program text are those of Python's own tokenizer and syntax tree."""

import ast
import keyword
from pathlib import Path

import numpy as np
import pytest

from fathometer.data import Code, write_code
from fathometer.data.binding import bindings
from fathometer.data.code import _joined, _labelled
from fathometer.data.sources import Source
from fathometer.errors import DataError

PROGRAM = '''"""Ümläute: a docstring."""
import os.path
from sys import argv as words

LIMIT = 3


class Box:
    size = LIMIT

    def grow(self, by=1):
        total = self.size + by
        def inner(x):
            return [total + y for y in range(x)]
        return inner(len(words))  # é


def read():
    return os.path.join("ä", (Box, [LIMIT]))
'''


@pytest.fixture
def code() -> Code:
    """Return the program with its labels."""
    labelled = _labelled(Source("program.py", PROGRAM.encode()))
    assert labelled is not None
    return _joined([labelled])


def label(code: Code, level: str, text: str, nth: int = 0) -> str:
    """Return the label of the last byte of the nth place where a text stands."""
    content = bytes(code.tokens)
    at = -1
    for _ in range(nth + 1):
        at = content.index(text.encode(), at + 1)
    return code.levels[level][code.labels[level][at + len(text.encode()) - 1]]


def test_tokens_and_characters(code: Code) -> None:
    """Kinds of characters and of tokens, also behind letters of two bytes on the same line."""
    found = [label(code, "token", text) for text in ("Ümläute", "import", "argv", "= ", "3", "# é", '"ä"')]

    assert found == ["string", "keyword", "name", "none", "number", "comment", "string"]
    assert [label(code, "character", text) for text in ("_"[:0] or "(", "3", "\n", '"', "é")] == [
        "bracket",
        "digit",
        "newline",
        "quote",
        "letter",
    ]


def test_depth_of_brackets(code: Code) -> None:
    """Inside two brackets the depth is two, before and after them none."""
    assert [label(code, "bracket depth", text, nth) for text, nth in (("join", 0), ("Box", 1), ("LIMIT", 2), ("argv", 0))] == [
        "0",
        "2",
        "3 or more",
        "0",
    ]


def test_nodes_and_scopes(code: Code) -> None:
    """The innermost node of a place, and the innermost class or function around it."""
    assert [label(code, "node", text) for text in ("join", "self.size", "by=1", "total", "os.path")] == [
        "attribute", "attribute", "constant", "name", "import",
    ]  # fmt: skip
    places = (("LIMIT", 0), ("LIMIT", 1), ("total", 0), ("total", 1), ("LIMIT", 2))
    assert [label(code, "scope", *place) for place in places] == [
        "module",
        "class",
        "method",
        "function in a function",
        "function",
    ]


def test_bindings_follow_the_rules_of_scopes() -> None:
    """Where each name that is read was bound; a name that is nowhere is left out, a class's is unseen by its methods."""
    extra = "\n\nclass Other:\n    hidden = 1\n\n    def look(self):\n        return hidden, nowhere\n"
    found = {(name.id, name.lineno): bound for name, bound in bindings(ast.parse(PROGRAM + extra))}

    assert found[("LIMIT", 9)] == "module variable"
    assert found[("self", 12)] == found[("by", 12)] == "parameter"
    assert found[("total", 14)] == "enclosing function"
    assert (found[("y", 14)], found[("x", 14)], found[("range", 14)]) == ("local", "enclosing function", "builtin")
    assert (found[("inner", 15)], found[("len", 15)], found[("words", 15)]) == ("definition", "builtin", "import")
    assert (found[("os", 19)], found[("Box", 19)]) == ("import", "definition")
    assert not {name for name, _ in found} & {"hidden", "nowhere"}


@pytest.mark.slow
def test_every_label_agrees_with_plain_tools() -> None:
    """On the standard library: bytes are the files', keywords are keywords, and names with a binding are names."""
    code = write_code(60_000)
    content = bytes(code.tokens)
    ends = np.flatnonzero(code.ends)
    starts = np.flatnonzero(code.labels["identifier"][1:] != code.labels["identifier"][:-1]) + 1
    words = {
        content[start:end].decode()
        for start, end in zip(starts, [*starts[1:], len(content)], strict=True)
        if code.labels["identifier"][start]
    }
    read = content.decode()

    assert len(read) > 50_000
    assert words <= set(code.levels["identifier"])
    bound = code.labels["binding"] > 0
    assert set(np.unique(code.labels["token"][bound])) == {code.levels["token"].index("name")}
    assert (code.labels["token"][ends] > 0).all()
    assert any(keyword.iskeyword(name) for name in code.levels["identifier"])
    assert len(code.tokens) == len(code.documents) == len(code.ends) == len(code.labels["node"])


def test_what_cannot_be_labelled_is_an_error(tmp_path: Path) -> None:
    """A file that does not parse is left out, and where none is left, an error says so."""
    (tmp_path / "broken.py").write_text("def (:\n")
    with pytest.raises(DataError, match="no Python file"):
        write_code(10, path=tmp_path / "broken.py", held_out=False)
    with pytest.raises(DataError, match="at least 1"):
        write_code(0)
