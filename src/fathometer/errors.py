"""Errors that say what was given, what was expected, and how to mend it."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

Item = TypeVar("Item")
LISTED, SHOWN = 30, 6  # a longer list of names is not listed in full
LONGEST_VALUE, LONGEST_PART = 100, 800  # characters


class FathometerError(ValueError):
    """A mistake that the user can mend; the family of all errors raised on purpose.

    FathometerError
    ├── SpecError        a network, preset or run that cannot exist
    ├── TargetError      a TARGET that cannot be found, read or called
    ├── BatchError       inputs or targets that do not fit the model or the loss
    ├── DataError        data that cannot be found, read or drawn
    ├── ModelError       a module that cannot be examined
    ├── RecordError      a saved result that cannot be read
    └── OutOfMemoryError more than the memory holds

    >>> error = SpecError("The depth is 0", "A network has at least one block", "Try depth=1")
    >>> str(error)
    'The depth is 0. A network has at least one block. Try depth=1.'
    >>> isinstance(error, FathometerError), error.mend
    (True, 'Try depth=1')
    """

    def __init__(self, given: str, expected: str, mend: str) -> None:
        self.given, self.expected, self.mend = map(_readable, (given, expected, mend))
        super().__init__(f"{_sentence(self.given)} {_sentence(self.expected)} {_sentence(self.mend)}")


class SpecError(FathometerError):
    """A network, preset or run that cannot exist."""


class TargetError(FathometerError):
    """A TARGET that cannot be found, read or called."""


class BatchError(FathometerError):
    """Inputs or targets that do not fit the model or the loss."""


class DataError(FathometerError):
    """Data that cannot be found, read or drawn."""


class ModelError(FathometerError):
    """A module that cannot be examined."""


class RecordError(FathometerError):
    """A saved result that cannot be read."""


class OutOfMemoryError(FathometerError):
    """More than the memory holds."""


def unknown_name(kind: str, given: str, known: Iterable[str], error: type[FathometerError] = SpecError) -> FathometerError:
    """Return the error for a name that is not in a catalogue, with the nearest right one.

    >>> str(unknown_name("activation", "rleu", ["relu", "tanh"]))
    'There is no activation named "rleu". The known ones are: relu, tanh. Did you mean "relu"?'
    """
    names = list(known)
    near = get_close_matches(given, names, n=SHOWN, cutoff=0.4)
    mend = f'Did you mean "{near[0]}"?' if near else "Take one of these"
    listed = f"The known ones are: {', '.join(names)}"
    if len(names) > LISTED:
        listed = f"The nearest of {len(names)} are: {', '.join(near or names[:SHOWN])}"
    return error(f'There is no {kind} named "{given}"', listed, mend)


def look_up(kind: str, name: str, known: Mapping[str, Item], error: type[FathometerError] = SpecError) -> Item:
    """Return what has this name in a catalogue, or raise `unknown_name`.

    >>> look_up("activation", "relu", {"relu": 1, "tanh": 2})
    1
    """
    if name not in known:
        raise unknown_name(kind, name, known, error)
    return known[name]


def shown(value: object) -> str:
    """Return a value as an error shows it: as Python writes it, cut where it gets long.

    >>> shown(0.5), shown("x" * 200)[-3:]
    ('0.5', 'xx…')
    """
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a list of thousands of levels
        text = f"{kind_of(value)} too large to be shown"
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def kind_of(value: object) -> str:
    """Return what kind of thing a value is, with its article.

    >>> kind_of(5), kind_of([]), kind_of(None)
    ('an int', 'a list', 'None')
    """
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' or name == 'ndarray' else 'a'} {name}"


def _readable(text: str) -> str:
    """Return a text in one line, with the codes of what cannot be printed, and its middle left out where it gets long."""
    if len(text) > LONGEST_PART:
        text = f"{text[: LONGEST_PART // 2]} … {text[-LONGEST_PART // 2 :]}"
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "?", "!", ":")) else text + "."
