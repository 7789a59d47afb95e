"""What is known at every place of an input, as questions for probes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64, Integer
from torch import Tensor

from fathometer.data import Hierarchy, draw_scenes, expand, write_code, write_language
from fathometer.data.hierarchy import one_hot
from fathometer.data.images import standardize
from fathometer.data.language import LEVELS as LANGUAGE_LEVELS
from fathometer.data.scenes import LEVELS as SCENE_LEVELS
from fathometer.errors import DataError

MOST_QUESTIONS = 2400  # for each level, in equal parts for each class
RAREST = 100  # a class with fewer places is not asked for
Labels = Integer[np.ndarray, "sample place"]


@dataclass(frozen=True, eq=False)
class Level:
    """Questions of one kind: what is at these `places` (counted through an input, row by row) of these `samples`.

    Classes are asked for equally often, so guessing is right in one of `classes`.
    """

    name: str
    samples: Int64[np.ndarray, " question"]
    places: Int64[np.ndarray, " question"]
    labels: Int64[np.ndarray, " question"]
    classes: tuple[str, ...]

    @property
    def chance(self) -> float:
        """Return the share that guessing gets right."""
        return 1 / len(self.classes)


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Inputs and, from simple to abstract as the lesson has it, what is known of them.

    `shape` is that of the places of one input: `(time,)` or `(height, width)`; `decode` makes text of tokens.
    """

    name: str
    inputs: Tensor
    shape: tuple[int, ...]
    levels: tuple[Level, ...]
    decode: Callable[[list[int]], str] | None = None


def ask(
    name: str, labels: Labels, classes: Sequence[str], *, where: Bool[np.ndarray, "sample place"] | None = None, seed: int = 0
) -> Level:
    """Return questions about labels above 0, at places drawn at random, equally many for each class that is not too rare.

    `where` says which places may be asked for; None takes all. Raises `DataError` where fewer than two classes are left.
    """
    draw = np.random.default_rng(seed)
    may = labels > 0 if where is None else (labels > 0) & where
    counts = np.bincount(labels[may].ravel(), minlength=len(classes))
    kept = [number for number in range(1, len(classes)) if counts[number] >= RAREST]
    if len(kept) < 2:
        raise DataError(
            f'"{name}" has {len(kept)} classes with {RAREST} places or more', "A probe tells at least two apart", "Give more data"
        )
    each = min(MOST_QUESTIONS // len(kept), min(int(counts[number]) for number in kept))
    found = [draw.permutation(np.flatnonzero((may & (labels == number)).ravel()))[:each] for number in kept]
    samples, places = np.divmod(np.concatenate(found), labels.shape[1])
    answers = np.repeat(np.arange(len(kept)), [len(part) for part in found])
    return Level(name, samples, places, answers, tuple(classes[number] for number in kept))


def own_truth(inputs: Tensor, labels: Mapping[str, Any], *, shape: tuple[int, ...] | None = None, seed: int = 0) -> GroundTruth:
    """Return a user's own labels as questions: by the name of the level, whole numbers `(sample, *shape)`, simple ones first.

    Numbers below 0 are places that have no label. `shape` None is `(time,)` for tokens and `(height, width)` for images.
    """
    places = shape or (tuple(inputs.shape[-2:]) if inputs.ndim == 4 else (inputs.shape[1],))
    levels = []
    for name, given in labels.items():
        numbers = np.asarray(given.cpu() if isinstance(given, Tensor) else given)
        if numbers.shape != (len(inputs), *places) or numbers.dtype.kind not in "iu":
            raise DataError(
                f'The labels of "{name}" are {numbers.dtype} of shape {numbers.shape}',
                f"Each place has a whole number: {(len(inputs), *places)}",
                "Bring them into that shape, -1 where there is no label",
            )
        classes = ("none", *(str(number) for number in range(int(numbers.max()) + 1)))
        levels.append(ask(name, numbers.reshape(len(inputs), -1).astype(np.int64) + 1, classes, seed=seed))
    return GroundTruth("your labels", inputs, places, tuple(levels))


def scene_truth(*, samples: int = 1500, size: int = 32, seed: int = 1) -> GroundTruth:
    """Return drawn scenes, `size` pixels a side, with edges, textures, parts (wheels, eyes, …) and objects at each pixel."""
    drawn = draw_scenes(samples, size=size, seed=seed)
    stored = torch.from_numpy(drawn.images)
    bodies = [SCENE_LEVELS["part"].index(shape) for shape in ("box", "disc", "gable", "hull")]
    maps = {**drawn.maps, "part": np.where(np.isin(drawn.maps["part"], bodies), 0, drawn.maps["part"])}
    levels = [
        ask(name, maps[name].reshape(samples, -1).astype(np.int64), names, seed=seed) for name, names in SCENE_LEVELS.items()
    ]
    return GroundTruth("scenes", standardize(stored)(stored), (size, size), tuple(levels))


def english_truth(*, documents: int = 3000, context: int = 128, seed: int = 0) -> GroundTruth:
    """Return the beginnings of generated documents, in characters, with what is known of their words, at the ends of words.

    The levels are "character" (at any place), "word" (the 24 commonest), "part of speech", "phrase", "sentence" (its kind, at
    its last word), "referent" (who a pronoun means, counted as they came) and "topic" (in the second half).
    """
    text = write_language(documents * 300, unit="character", seed=seed, held_out=True)
    starts = np.flatnonzero(np.diff(text.documents, prepend=-1))
    starts = starts[starts + context < len(text.tokens)][:documents]
    windows = starts[:, None] + np.arange(context)
    labels = {level: text.labels[level][windows] for level in LANGUAGE_LEVELS}
    same = text.documents[windows] == text.documents[starts][:, None]
    following = text.labels["word"][windows + 1]
    ends = (labels["word"] > 0) & (following != labels["word"]) & same
    speech = LANGUAGE_LEVELS["part of speech"]
    before_mark = ends & (text.labels["part of speech"][windows + 1] == speech.index("mark"))
    late = np.arange(context) >= context // 2
    words = _commonest(labels["word"] * ends, 24)
    asked = {
        "character": (text.tokens[windows] * same, ("none", *text.vocabulary[1:]), None),
        "word": (words[0], ("none", *(LANGUAGE_LEVELS["word"][word] for word in words[1])), None),
        "part of speech": (labels["part of speech"], speech, ends),
        "phrase": (labels["phrase"], LANGUAGE_LEVELS["phrase"], ends),
        "sentence": (labels["sentence"], LANGUAGE_LEVELS["sentence"], before_mark),
        "referent": (
            labels["referent"],
            LANGUAGE_LEVELS["referent"],
            ends & (labels["part of speech"] == speech.index("pronoun")),
        ),
        "topic": (labels["topic"], LANGUAGE_LEVELS["topic"], ends & late),
    }
    return _text_truth(
        "English", text.tokens[windows], asked, seed, lambda tokens: "".join(text.vocabulary[token] for token in tokens)
    )


def code_truth(*, size: int = 1_600_000, context: int = 128, seed: int = 0) -> GroundTruth:
    """Return windows of held-out Python sources, in bytes, with what their tokens and syntax trees say, at the ends of tokens.

    The levels are "character" (its class, at any place), "token", "identifier", "bracket depth", "node", "scope" and "binding".
    """
    text = write_code(size, held_out=True)
    count = len(text.tokens) // context

    def cut(values: Any) -> Any:
        return values[: count * context].reshape(count, context)

    ends, settled = cut(text.ends), np.arange(context) >= context // 2
    asked = {
        level: (cut(text.labels[level]).astype(np.int64), names, None if level == "character" else ends & settled)
        for level, names in text.levels.items()
    }
    return _text_truth("code", cut(text.tokens), asked, seed, lambda tokens: bytes(tokens).decode("utf-8", errors="replace"))


def hierarchy_truth(rules: Hierarchy, *, samples: int = 2400, form: str = "flat", seed: int = 0) -> GroundTruth:
    """Return inputs of a Random Hierarchy Model with the symbol of each level above them, the leftmost one; last the class."""
    draw = np.random.default_rng((seed, 3))
    targets = draw.integers(rules.classes, size=samples)
    symbols = expand(rules, targets, draw.integers(rules.synonyms, size=(samples, rules.num_choices)))
    tokens = torch.from_numpy(symbols[-1])
    levels = []
    for above, labels in enumerate(reversed(symbols[:-1]), 1):
        is_class = above == len(rules.rules)
        names = ("none", *map(str, range(rules.classes if is_class else rules.symbols)))
        levels.append(ask("class" if is_class else f"level {above}", labels[:, :1] + 1, names, seed=seed))
    inputs = tokens if form == "tokens" else one_hot(tokens, rules.symbols)
    return GroundTruth("hierarchy", inputs, (inputs.shape[1],), tuple(levels))


def _text_truth(
    name: str, tokens: Any, asked: Mapping[str, tuple[Any, Sequence[str], Any]], seed: int, decode: Any
) -> GroundTruth:
    levels = [ask(level, labels, names, where=where, seed=seed) for level, (labels, names, where) in asked.items()]
    return GroundTruth(name, torch.from_numpy(tokens.astype(np.int64)), (tokens.shape[1],), tuple(levels), decode)


def _commonest(labels: Labels, count: int) -> tuple[Labels, list[int]]:
    """Return the labels numbered anew from 1, by how often they come, all but the commonest 0; and what they were."""
    counts = np.bincount(labels[labels > 0])
    kept = [int(number) for number in np.argsort(-counts, kind="stable")[:count] if counts[number]]
    numbers = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    numbers[kept] = np.arange(1, len(kept) + 1)
    return numbers[labels], kept
