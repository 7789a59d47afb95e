"""Text turned into tokens by a tokenizer that the user trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int32

from fathometer.data.sources import Source
from fathometer.errors import DataError
from fathometer.files import expanded, is_file, is_folder

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILES_AT_ONCE = 64  # bounds the memory of what the tokenizer returns


def load_tokenizer(path: str | Path) -> "tuple[Tokenizer, int]":
    """Return a tokenizer from its JSON file, or from the folder that holds `tokenizer.json`, and its vocabulary size.

    Whatever the file says, texts are neither cut nor padded. Raises `DataError` for a file that is missing or corrupt.
    """
    # Imported here: bytes need no tokenizer.
    from tokenizers import Tokenizer

    path = expanded(path)
    path = path / "tokenizer.json" if is_folder(path) else path
    if not is_file(path):
        raise DataError(f'There is no tokenizer file "{path}"', "A tokenizer is one JSON file", "Check the path")
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as problem:  # the library raises Exception itself
        raise DataError(
            f'"{path}" is not a tokenizer: {str(problem).rstrip(".")}',
            "It must be the JSON that `tokenizers` writes",
            'Write it again with Tokenizer.save("tokenizer.json")',
        ) from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    numbers = tokenizer.get_vocab(with_added_tokens=True).values()
    if not numbers:
        raise DataError(f'The tokenizer "{path}" knows no tokens', "It must have been trained", "Train it, and save it again")
    return tokenizer, max(numbers) + 1  # numbers may have gaps


def tokenize(sources: Sequence[Source], tokenizer: "Tokenizer") -> Int32[np.ndarray, " tokens"]:
    """Return the tokens of all files, one after another, without special tokens; raise `DataError` for what is not UTF-8."""
    found = [np.zeros(0, dtype=np.int32)]
    for start in range(0, len(sources), FILES_AT_ONCE):
        texts = [_decode(source) for source in sources[start : start + FILES_AT_ONCE]]
        encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        found += [np.array(one.ids, dtype=np.int32) for one in encoded]
    return np.concatenate(found)


def _decode(source: Source) -> str:
    try:
        return source.content.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise DataError(
            f'"{source.name}" is not UTF-8: byte {problem.start} is {source.content[problem.start]:#04x}',
            "A tokenizer reads UTF-8",
            "Convert the file, leave it out, or read bytes: tokenizer=None",
        ) from None
