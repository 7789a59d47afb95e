"""Text to be continued, token by token: Python's own, or a user's files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Integer, UInt8
from torch import Tensor

from fathometer.data.columns import Converted
from fathometer.data.dataset import Samples, content_hash
from fathometer.data.entropy import sequence_facts
from fathometer.data.sources import Source, hold_out, read_sources
from fathometer.data.tokens import load_tokenizer, tokenize
from fathometer.errors import DataError

HELD_OUT_SHARE = 0.1
BYTES = 256


def text(path: str | Path | None = None, *, tokenizer: str | Path | None = None, context: int = 256) -> Samples:
    """Return text in windows of `context` tokens, each with the tokens that follow; every token is a target once an epoch.

    `path` is a file or folder that is read in place; None is the standard library of the running Python. A token is a byte
    (vocabulary 256), or what a trained `tokenizers` file (JSON) makes of UTF-8. A tenth is held out, by whole files where
    there are enough; its windows come in a fixed mixed order, so that the first ones are a fair sample of all.
    Inputs and targets are integers `(batch, time)`. Raises `DataError` for what cannot be read or is too short.
    """
    title, sources = read_sources(path)
    parts = hold_out(sources, HELD_OUT_SHARE)
    facts = {"source": title, "files": len(sources), "bytes": sum(len(source.content) for source in sources)}
    if tokenizer is None:
        train, held_out = (_as_bytes(part) for part in parts)
        return next_token("text", (train, held_out), BYTES, context, {**facts, "sha256": _hash(sources)})
    encoder, vocabulary = load_tokenizer(tokenizer)
    train, held_out = (tokenize(part, encoder) for part in parts)
    sha256 = _hash(sources, encoder.to_str())
    return next_token("text", (train, held_out), vocabulary, context, {**facts, "sha256": sha256})


def next_token(
    name: str,
    parts: tuple[Integer[np.ndarray, " train"], Integer[np.ndarray, " held_out"]],
    vocabulary: int,
    context: int,
    facts: Mapping[str, Any],
) -> Samples:
    """Return tokens, to train on and held out, as windows that do not overlap and the same windows one token later.

    The tokens are kept as they are; only a batch becomes 64-bit integers. Raises `DataError` where no window fits.
    """
    train, held_out = parts
    _check_context(train, "text to train on", context)
    _check_context(held_out, "held-out text", context)
    counted = {
        **facts,
        "vocabulary": vocabulary,
        "context": context,
        "tokens": len(train),
        "held_out_tokens": len(held_out),
        "samples": (len(train) - 1) // context,
        "held_out_samples": (len(held_out) - 1) // context,
        **sequence_facts(train, held_out, vocabulary),
    }
    mixed = np.random.default_rng(0).permutation(counted["held_out_samples"])
    train_windows = (_windows(train, context, shift) for shift in (0, 1))
    test_windows = (_windows(held_out, context, shift)[mixed] for shift in (0, 1))
    return Samples(name, counted, *(Converted(windows, Tensor.long) for windows in (*train_windows, *test_windows)))


def _windows(tokens: Integer[np.ndarray, " tokens"], context: int, shift: int) -> Integer[Tensor, "window time"]:
    """Return a view of the tokens as rows, from the first or from the second token on."""
    count = (len(tokens) - 1) // context
    return torch.from_numpy(tokens)[shift : shift + count * context].view(count, context)


def _check_context(tokens: Integer[np.ndarray, " tokens"], part: str, context: int) -> None:
    if context < 1:
        raise DataError(f"`context` is {context}", "It must be at least 1 token", "Try 256")
    if len(tokens) < context + 1:
        most = f"Try context = {len(tokens) - 1} or less, or more text" if len(tokens) > 1 else "Name a longer text"
        raise DataError(
            f"The {part} has {len(tokens)} tokens, and `context` is {context}",
            "A window is `context` tokens and the one that follows",
            most,
        )


def _as_bytes(sources: Sequence[Source]) -> UInt8[np.ndarray, " bytes"]:
    # A bytearray, because torch warns of memory that it may not write to.
    return np.frombuffer(bytearray().join(source.content for source in sources), dtype=np.uint8)


def _hash(sources: Sequence[Source], tokenizer: str = "") -> str:
    parts = [part for source in sources for part in (source.name, source.content)]
    return content_hash([tokenizer, *parts])
