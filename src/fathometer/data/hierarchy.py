"""The Random Hierarchy Model: classes made of parts made of parts."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn

from fathometer.data.dataset import Samples, content_hash, in_two_parts
from fathometer.errors import DataError, unknown_name

COUNTABLE = 2**62  # more data than this cannot be numbered in 64 bits, and two draws never meet
HELD_OUT = 1000
FORMS = ("flat", "tokens")


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """The rules of one Random Hierarchy Model, from the classes down.

    `rules[level]` has shape `(parents, synonyms, branching)`: the tuples of lower symbols that a class (level 0) or a
    symbol may turn into. All tuples of a level differ, so that what was turned into what can always be read back.
    Cagnetta et al. 2024, "How deep neural networks learn compositional data: the Random Hierarchy Model".
    """

    rules: tuple[Int64[np.ndarray, "_ synonyms branching"], ...]
    symbols: int

    @property
    def classes(self) -> int:
        """Return the number of classes."""
        return len(self.rules[0])

    @property
    def synonyms(self) -> int:
        """Return in how many ways each symbol can be written one level below."""
        return self.rules[0].shape[1]

    @property
    def branching(self) -> int:
        """Return of how many symbols a symbol is made."""
        return self.rules[0].shape[2]

    @property
    def length(self) -> int:
        """Return the number of symbols of one input: branching to the power of the levels."""
        return self.branching ** len(self.rules)

    @property
    def num_choices(self) -> int:
        """Return how many rules are applied to make one input: (length - 1) / (branching - 1)."""
        return sum(self.branching**level for level in range(len(self.rules)))

    @property
    def num_data(self) -> int:
        """Return the number of different inputs: classes · synonyms to the power of `num_choices`."""
        return self.classes * self.synonyms**self.num_choices


def random_hierarchy(*, classes: int, symbols: int, synonyms: int, levels: int, branching: int, seed: int = 0) -> Hierarchy:
    """Return rules drawn at random, no tuple of a level twice; raise `DataError` where there are too few tuples.

    >>> random_hierarchy(classes=4, symbols=4, synonyms=2, levels=2, branching=2).num_data
    32
    """
    _check_sizes(classes, symbols, synonyms, levels, branching)
    generator, rules = np.random.default_rng((seed, 0)), []
    for parents in (classes, *[symbols] * (levels - 1)):
        codes = generator.choice(symbols**branching, size=parents * synonyms, replace=False)
        tuples = np.stack(np.unravel_index(codes, (symbols,) * branching), axis=-1)
        rules.append(tuples.astype(np.int64).reshape(parents, synonyms, branching))
    return Hierarchy(tuple(rules), symbols)


def expand(
    hierarchy: Hierarchy, targets: Int64[np.ndarray, " sample"], choices: Int64[np.ndarray, "sample choice"]
) -> tuple[Int64[np.ndarray, "sample _"], ...]:
    """Return the symbols of each level, from the classes `(sample, 1)` down to the inputs `(sample, length)`.

    `choices`, each from 0 to synonyms - 1, says which synonym is taken, level by level and from left to right.
    """
    found, start = [targets[:, None]], 0
    for level, rules in enumerate(hierarchy.rules):
        here = choices[:, start : start + hierarchy.branching**level]
        start += here.shape[1]
        found.append(rules[found[-1], here].reshape(len(targets), -1))
    return tuple(found)


def parse(hierarchy: Hierarchy, inputs: Int64[np.ndarray, "sample position"]) -> tuple[Int64[np.ndarray, "sample _"], ...]:
    """Return the symbols of each level from the inputs alone, as `expand` gives them.

    Raises `DataError` where no rule, or more than one, could have made a tuple: then the classes are not known either.
    """
    found = [inputs]
    for rules in reversed(hierarchy.rules):
        codes = _codes(found[-1].reshape(len(inputs), -1, hierarchy.branching), hierarchy.symbols)
        of_rules = _codes(rules, hierarchy.symbols).ravel()
        order = np.argsort(of_rules)
        first, after = (np.searchsorted(of_rules[order], codes, side=side) for side in ("left", "right"))
        if (after - first != 1).any():
            raise DataError(
                "A tuple of symbols has no meaning, or more than one", "Each must come from one rule", "Draw the rules again"
            )
        found.append(order[first] // rules.shape[1])
    return tuple(reversed(found))


def hierarchy(
    *,
    classes: int = 8,
    symbols: int = 8,
    synonyms: int = 4,
    levels: int = 3,
    branching: int = 2,
    samples: int | None = None,
    form: str = "flat",
    seed: int = 0,
) -> Samples:
    """Return inputs of a Random Hierarchy Model and their classes; no input comes twice.

    `samples` is how many are trained on; None takes 4 · classes · synonyms^levels, some more than a deep network needs, or
    four fifths of all that exist. A quarter as many are held out, and at least 1,000 where there are. `form` "flat" gives
    one-hot inputs `(batch, length · symbols)` of mean 0 and std 1, "tokens" the symbols `(batch, length)`. `seed` draws the
    rules and the inputs. Raises `DataError` for sizes that cannot be. Cagnetta et al. 2024.
    """
    if form not in FORMS:
        raise unknown_name("form of hierarchy", form, FORMS, DataError)
    rules = random_hierarchy(classes=classes, symbols=symbols, synonyms=synonyms, levels=levels, branching=branching, seed=seed)
    train, test = split_sizes(rules.num_data, samples, 4 * classes * synonyms**levels)
    targets, choices = _draw(rules, train + test, seed)
    inputs = expand(rules, targets, choices)[-1]
    facts = {
        "classes": classes,
        "shape": [rules.length] if form == "tokens" else [rules.length * symbols],
        "num_data": rules.num_data,
        **({"vocabulary": symbols, "context": rules.length} if form == "tokens" else {}),
        "sha256": content_hash([inputs, targets]),
    }
    convert = None if form == "tokens" else partial(one_hot, symbols=symbols)
    tensors = torch.from_numpy(inputs), torch.from_numpy(targets)
    return in_two_parts("hierarchy", facts, *tensors, train=train, convert=convert)


def split_sizes(num_data: int, samples: int | None, usual: int) -> tuple[int, int]:
    """Return how many of `num_data` different inputs to train on and to hold out; raise `DataError` if none is left."""
    train = min(usual, num_data * 4 // 5) if samples is None else samples
    test = min(max(train // 4, HELD_OUT), num_data - train)
    if train < 1 or test < 1:
        raise DataError(
            f"`samples` is {train}", f"There are {num_data} different inputs, and some are held out", f"Try {num_data * 4 // 5}"
        )
    return train, test


def _draw(rules: Hierarchy, count: int, seed: int) -> tuple[Int64[np.ndarray, " sample"], Int64[np.ndarray, "sample choice"]]:
    """Return the classes and choices of different inputs: each input has a number, and these are its digits."""
    generator = np.random.default_rng((seed, 1))
    if rules.num_data > COUNTABLE:
        targets = generator.integers(rules.classes, size=count)
        return targets, generator.integers(rules.synonyms, size=(count, rules.num_choices))
    numbers = generator.choice(rules.num_data, size=count, replace=False)
    choices = np.zeros((count, rules.num_choices), dtype=np.int64)
    for place in range(rules.num_choices):
        numbers, choices[:, place] = np.divmod(numbers, rules.synonyms)
    return numbers, choices


def _codes(tuples: Int64[np.ndarray, "*any branching"], symbols: int) -> Int64[np.ndarray, "*any"]:
    """Return each tuple of symbols as one number."""
    return tuples @ symbols ** np.arange(tuples.shape[-1])[::-1]


def one_hot(inputs: Int64[Tensor, "batch position"], symbols: int) -> Float32[Tensor, "batch unit"]:
    hot = nn.functional.one_hot(inputs, symbols).float()
    return ((hot - 1 / symbols) / (1 / symbols * (1 - 1 / symbols)) ** 0.5).flatten(1)


def _check_sizes(classes: int, symbols: int, synonyms: int, levels: int, branching: int) -> None:
    least = {"classes": (classes, 2), "symbols": (symbols, 2), "synonyms": (synonyms, 1), "levels": (levels, 1)}
    for name, (value, limit) in {**least, "branching": (branching, 2)}.items():
        if value < limit:
            raise DataError(f"`{name}` is {value}", f"It must be at least {limit}", f"Try {name} = {limit}")
    if symbols**branching > COUNTABLE:
        raise DataError(
            f"There are {symbols}^{branching} tuples of symbols", "They are numbered in 62 bits", "Take fewer symbols or parts"
        )
    most = symbols**branching // max(classes, symbols if levels > 1 else 1)
    if synonyms > most:
        raise DataError(
            f"{max(classes, symbols)} symbols with {synonyms} synonyms each need more than {symbols}^{branching} tuples",
            "Each tuple may have one meaning only",
            f"Try synonyms = {most}" if most else f"Try fewer classes, at most {symbols**branching}",
        )
