"""Program text whose tokens, nodes, scopes and bindings are known."""

import ast
import io
import keyword
import tokenize
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from fathometer.data.binding import BINDINGS, bindings
from fathometer.data.sources import Source, hold_out, read_sources
from fathometer.data.text import HELD_OUT_SHARE
from fathometer.errors import DataError

Marks = UInt8[np.ndarray, " byte"]
File = tuple[bytes, dict[str, np.ndarray], list[tuple[int, int, str]]]  # content, labels, from where to where names go
CHARACTERS = ("none", "letter", "digit", "underscore", "space", "newline", "bracket", "quote", "other sign")
TOKENS = ("none", "keyword", "name", "number", "string", "operator", "comment")
DEPTHS = ("none", "0", "1", "2", "3 or more")
SCOPES = ("none", "module", "class", "function", "method", "function in a function")
# The innermost node of the syntax tree, by its class; the others have no label.
NODES: Mapping[str, tuple[type[ast.AST], ...]] = {
    "name": (ast.Name,),
    "attribute": (ast.Attribute,),
    "call": (ast.Call,),
    "keyword argument": (ast.keyword,),
    "constant": (ast.Constant, ast.JoinedStr),
    "index": (ast.Subscript,),
    "collection": (ast.List, ast.Tuple, ast.Dict, ast.Set),
    "operation": (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare),
    "comprehension": (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda, ast.IfExp),
    "parameter": (ast.arg,),
    "import": (ast.Import, ast.ImportFrom, ast.alias),
    "assignment": (ast.Assign, ast.AugAssign, ast.AnnAssign),
    "return": (ast.Return, ast.Raise),
    "branch": (ast.If, ast.Try, ast.With),
    "loop": (ast.For, ast.While),
    "definition": (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
}
COMMON = 30  # identifiers that have a label of their own
FEW_FILES = 8  # a file of more than this share of what is asked for comes last
_NODE_NUMBERS = {kind: number for number, kinds in enumerate(NODES.values(), 1) for kind in kinds}


@dataclass(frozen=True, eq=False)
class Code:
    """Program text as bytes with what is known of each: `labels[level]` holds places in `levels[level]`, 0 for none.

    The levels are "character", "token", "identifier", "bracket depth", "node", "scope" and "binding" (where a name that is
    read was bound). `ends` are the last bytes of tokens, `documents` counts the files from 0.
    """

    tokens: UInt8[np.ndarray, " byte"]
    labels: Mapping[str, UInt8[np.ndarray, " byte"]]
    levels: Mapping[str, tuple[str, ...]]
    ends: Bool[np.ndarray, " byte"]
    documents: Int64[np.ndarray, " byte"]


def write_code(size: int, *, path: str | Path | None = None, held_out: bool = True) -> Code:
    """Return whole Python files of at least `size` bytes together, and the labels of each byte.

    The files are those of `text(path)`: of its held-out part or of the one to train on, in a mixed order. Those that do not
    parse are left out. Raises `DataError` where no file is left.
    """
    if size < 1:
        raise DataError(f"`size` is {size}", "It must be at least 1 byte", "Try 100000")
    parts = hold_out(read_sources(path)[1], HELD_OUT_SHARE)
    sources = [source for source in parts[held_out] if source.name.endswith(".py")]
    mixed = np.random.default_rng(0).permutation(len(sources))
    order = sorted(mixed, key=lambda place: len(sources[place].content) > size // FEW_FILES)  # no file is most of the text
    found, total = list[File](), 0
    for source in (sources[place] for place in order):
        labelled = _labelled(source)
        if labelled is not None and total < size:
            found.append(labelled)
            total += len(labelled[0])
    if not found:
        raise DataError("There is no Python file that parses", "Labels are read from the syntax tree", "Name a folder with some")
    return _joined(found)


def _joined(files: list[File]) -> Code:
    counts = Counter(name for _, _, names in files for _, _, name in names)
    common = [name for name, _ in counts.most_common(COMMON)]
    numbers = {name: number for number, name in enumerate(common, 1)}
    for content, labels, names in files:
        labels["identifier"] = np.zeros(len(content), dtype=np.uint8)
        for start, end, name in names:
            labels["identifier"][start:end] = numbers.get(name, 0)
    levels = {
        "character": CHARACTERS,
        "token": TOKENS,
        "identifier": ("none", *common),
        "bracket depth": DEPTHS,
        "node": ("none", *NODES),
        "scope": SCOPES,
        "binding": BINDINGS,
    }
    sizes = [len(content) for content, _, _ in files]
    text = np.frombuffer(b"".join(content for content, _, _ in files), dtype=np.uint8)
    labels = {level: np.concatenate([file[1][level] for file in files]) for level in levels}
    ends = np.concatenate([file[1]["end"] for file in files]).astype(bool)
    return Code(text, labels, levels, ends, np.repeat(np.arange(len(files)), sizes))


def _labelled(source: Source) -> File | None:
    """Return a file's bytes, their labels and where its identifiers are; None for what does not parse."""
    content = source.content
    try:
        text = content.decode("utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in other people's strings
            tree = ast.parse(content)
        tokens = list(tokenize.generate_tokens(io.StringIO(text, newline="").readline))
    except (UnicodeDecodeError, SyntaxError, ValueError, tokenize.TokenError, RecursionError):
        return None
    places = _Places(text)
    labels = {level: np.zeros(len(content), dtype=np.uint8) for level in ("token", "bracket depth", "node", "binding", "end")}
    names = _paint_tokens(tokens, places, labels)
    labels["character"] = _KINDS[np.frombuffer(content, dtype=np.uint8)]
    labels["scope"] = np.full(len(content), SCOPES.index("module"), dtype=np.uint8)
    for node in ast.walk(tree):  # outer nodes come first
        number = _NODE_NUMBERS.get(type(node), 0)
        if number:
            labels["node"][places.span(node)] = number
    for node, scope in _scopes(tree):
        labels["scope"][places.span(node)] = SCOPES.index(scope)
    for name, binding in bindings(tree):
        labels["binding"][places.span(name)] = BINDINGS.index(binding)
    labels["binding"] *= labels["token"] == TOKENS.index("name")  # not inside f-strings, which are one token
    return content, labels, names


class _Places:
    """Where a row and a column are in the bytes of a file; tokens count characters, nodes count bytes."""

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self.starts = np.concatenate([[0], np.cumsum([len(line.encode()) + 1 for line in self.lines])])

    def at(self, row: int, column: int) -> int:
        """Return the byte at a row (from 1) and a column in characters (from 0)."""
        if row > len(self.lines):
            return int(self.starts[-1])
        return int(self.starts[row - 1]) + len(self.lines[row - 1][:column].encode())

    def span(self, node: ast.AST) -> slice:
        """Return the bytes of a node."""
        ends = [(getattr(node, f"{end}lineno"), getattr(node, f"{end}col_offset")) for end in ("", "end_")]
        start, stop = (int(self.starts[row - 1]) + column for row, column in ends)
        return slice(start, stop)


def _paint_tokens(tokens: list[tokenize.TokenInfo], places: _Places, labels: dict[str, np.ndarray]) -> list[tuple[int, int, str]]:
    """Mark the tokens and the depth of brackets; return from where to where each name and keyword goes."""
    names, depth, before = list[tuple[int, int, str]](), 0, 0
    for token in tokens:
        start, end = places.at(*token.start), places.at(*token.end)
        labels["bracket depth"][before:end] = min(depth, len(DEPTHS) - 2) + 1
        before = end
        kind = _token_kind(token)
        if kind is None or end <= start:
            continue
        depth = max(depth + (token.string in "([{") - (token.string in ")]}"), 0) if kind == "operator" else depth
        labels["token"][start:end] = TOKENS.index(kind)
        labels["end"][end - 1] = 1
        if kind in ("name", "keyword"):
            names.append((start, end, token.string))
    return names


def _token_kind(token: tokenize.TokenInfo) -> str | None:
    if token.type == tokenize.NAME:
        return "keyword" if keyword.iskeyword(token.string) else "name"
    kinds = {tokenize.NUMBER: "number", tokenize.OP: "operator", tokenize.COMMENT: "comment"}
    is_string = tokenize.tok_name[token.type] in ("STRING", "FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END")
    return "string" if is_string else kinds.get(token.type)


def _scopes(tree: ast.AST, inside: str = "module") -> Iterator[tuple[ast.AST, str]]:
    """Yield each class and function with the word for its scope, outer ones first."""
    for node in ast.iter_child_nodes(tree):
        scope = inside
        if isinstance(node, ast.ClassDef):
            scope = "class"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            scope = {"module": "function", "class": "method"}.get(inside, "function in a function")
        if scope is not inside or isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node, scope
        yield from _scopes(node, scope)


def _kind_of_byte(byte: int) -> int:
    character = chr(byte)
    if (character.isascii() and character.isalpha()) or byte > 127:
        return CHARACTERS.index("letter")
    known = {"_": "underscore", " ": "space", "\n": "newline", "\r": "newline", "\t": "space", "'": "quote", '"': "quote"}
    kind = "digit" if character.isdigit() else "bracket" if character in "()[]{}" else known.get(character, "other sign")
    return CHARACTERS.index(kind)


_KINDS = np.array([_kind_of_byte(byte) for byte in range(256)], dtype=np.uint8)
