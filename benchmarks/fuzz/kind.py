"""One kind of input: what it may look like, and what must hold of any."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis.strategies import SearchStrategy

from fathometer.errors import FathometerError

LONGEST_ERROR = 2000  # characters: whoever gives a megabyte need not be shown it again


@dataclass(frozen=True)
class Kind:
    """A kind of input: how it is drawn, and a check that raises where an answer is not as it should be.

    The check returns whether the input was accepted: a fuzz in which nothing is accepted tests little.
    `examples` are drawn at a time in the long fuzz, `few` in the fast tests. `pinned` are examples that once were answered wrong:
    each is tried first, always.
    """

    name: str
    inputs: SearchStrategy[Any]
    check: Callable[[Any], bool]
    examples: int = 100
    few: int = 10
    pinned: tuple[Any, ...] = field(default=(), repr=False)


def answer(call: Callable[[], Any]) -> Any:
    """Return what a call returns, None where it refuses in the three parts; any other exception is a finding."""
    try:
        return call()
    except FathometerError as problem:
        check_words(problem)
        return None


def check_words(problem: FathometerError) -> None:
    """Raise unless an error says what was given, what was expected and how to mend it, in one paragraph that can be read."""
    for part in ("given", "expected", "mend"):
        text = getattr(problem, part)
        assert isinstance(text, str), f"`{part}` is no text"
        assert text.strip(), f"`{part}` says nothing"
    assert len(str(problem)) <= LONGEST_ERROR, f"an error of {len(str(problem)):,} characters"
    assert len(str(problem).splitlines()) == 1, f"an error of several lines: {problem}"


def is_number(value: object) -> bool:
    """Return whether a value is a finite number, and neither True nor False."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def is_count(value: object, least: int = 1, most: int = 2**63) -> bool:
    """Return whether a value is a whole number, and not one that nothing could ever have so many of."""
    return type(value) is int and least <= value <= most
