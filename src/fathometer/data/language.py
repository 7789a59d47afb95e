"""Generated English whose words, phrases and referents are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import numpy as np
from jaxtyping import Int64

from fathometer.data.dataset import Samples, content_hash
from fathometer.data.grammar import MOST_REFERENTS, PARTS_OF_SPEECH, PHRASES, ROLES, SENTENCES, Document, Word, write_document
from fathometer.data.lexicon import TOPICS, all_words
from fathometer.data.text import next_token
from fathometer.errors import DataError, unknown_name

UNITS = ("word", "character")
END = "\n"  # after each document
WORDS = (END, *all_words())
CHARACTERS = (END, " ", *sorted({character for word in all_words() for character in word}))
# The levels at which each token is labelled, and the names of the labels; 0 is what has none.
LEVELS: Mapping[str, tuple[str, ...]] = {
    "word": WORDS,
    "part of speech": PARTS_OF_SPEECH,
    "phrase": PHRASES,
    "role": ROLES,
    "sentence": SENTENCES,
    "referent": ("none", *(f"number {number}" for number in range(1, MOST_REFERENTS + 1))),
    "topic": ("none", *TOPICS),
}
_NUMBERS = {level: {name: number for number, name in enumerate(names)} for level, names in LEVELS.items()}
HELD_OUT_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class Language:
    """Text as tokens with what is known of each: `labels[level]` holds places in `LEVELS[level]`.

    A character has the labels of its word; a space has those of its sentence and document. `documents` counts from 0.
    """

    tokens: Int64[np.ndarray, " token"]
    labels: Mapping[str, Int64[np.ndarray, " token"]]
    documents: Int64[np.ndarray, " token"]
    vocabulary: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return the tokens as one would read them; words are set apart by spaces."""
        between = " " if self.vocabulary == WORDS else ""
        return between.join(self.vocabulary[token] for token in self.tokens.tolist())


def language(*, unit: str = "word", context: int = 64, tokens: int = 200_000, seed: int = 0) -> Samples:
    """Return generated English to be continued, in windows of `context` words or characters.

    `tokens` is about how many are trained on; a tenth as many, of other documents, are held out. Inputs and targets are
    integers `(batch, time)`. `write_language` gives the same text with its labels.
    """
    parts = tuple(
        write_language(count, unit=unit, seed=seed, held_out=held_out)
        for held_out, count in ((False, tokens), (True, max(1, round(tokens * HELD_OUT_SHARE))))
    )
    train, held_out = (part.tokens.astype(np.uint8) for part in parts)
    facts = {
        "unit": unit,
        "documents": int(parts[0].documents[-1]) + 1,
        "sha256": content_hash([unit, train, held_out]),
    }
    return next_token("language", (train, held_out), len(parts[0].vocabulary), context, facts)


def write_language(tokens: int, *, unit: str = "word", seed: int = 0, held_out: bool = False) -> Language:
    """Return whole documents with at least `tokens` tokens, and the labels of each token; what is held out is written apart."""
    if unit not in UNITS:
        raise unknown_name("unit of language", unit, UNITS, DataError)
    if tokens < 1:
        raise DataError(f"`tokens` is {tokens}", "It must be at least 1", "Try 200000")
    draw = Random(f"{seed} {'held out' if held_out else 'train'}")
    rows, documents, count = list[tuple[int, ...]](), list[int](), 0
    while len(rows) < tokens:
        rows += _rows(write_document(draw), unit)
        documents += [count] * (len(rows) - len(documents))
        count += 1
    columns = np.array(rows, dtype=np.int64).T
    labels = dict(zip(LEVELS, columns[1:], strict=True))
    return Language(columns[0], labels, np.array(documents), WORDS if unit == "word" else CHARACTERS)


def _rows(document: Document, unit: str) -> list[tuple[int, ...]]:
    """Return for each token its number and its labels, in the order of `LEVELS`."""
    topic = _NUMBERS["topic"][document.topic]
    found = list[tuple[int, ...]]()
    for sentence in document.sentences:
        kind = _NUMBERS["sentence"][sentence.kind]
        for word in sentence.words:
            labels = _labels(word, kind, topic)
            if unit == "word":
                found.append((labels[0], *labels))
                continue
            if found and word.part_of_speech != "mark":
                found.append((_SPACE, 0, 0, 0, 0, kind, 0, topic))
            found += [(_CHARACTER_NUMBERS[character], *labels) for character in word.text]
    return [*found, (0, 0, 0, 0, 0, 0, 0, topic)]


def _labels(word: Word, kind: int, topic: int) -> tuple[int, ...]:
    return (
        _NUMBERS["word"][word.text],
        _NUMBERS["part of speech"][word.part_of_speech],
        _NUMBERS["phrase"][word.phrase],
        _NUMBERS["role"][word.role],
        kind,
        word.referent,
        topic,
    )


_CHARACTER_NUMBERS = {character: number for number, character in enumerate(CHARACTERS)}
_SPACE = _CHARACTER_NUMBERS[" "]
