"""Errors say what was given, what was expected, and how to mend it."""

import inspect

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathometer import errors
from fathometer.errors import FathometerError, RecordError, SpecError, unknown_name

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]


def test_an_error_keeps_its_three_parts_and_joins_them_as_sentences() -> None:
    """The message is the three parts, each closed by a full stop unless it closes itself."""
    error = FathometerError("It is 3", "It must be 4.", 'Did you mean "4"?')

    assert (error.given, error.expected, error.mend) == ("It is 3", "It must be 4.", 'Did you mean "4"?')
    assert str(error) == 'It is 3. It must be 4. Did you mean "4"?'


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_is_a_fathometer_error_and_a_value_error(kind: type[FathometerError]) -> None:
    """One `except FathometerError`, or `except ValueError`, catches each of them."""
    assert issubclass(kind, FathometerError)
    assert issubclass(kind, ValueError)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not FathometerError], ids=lambda kind: kind.__name__)
def test_the_family_tree_names_every_error(kind: type[FathometerError]) -> None:
    """The tree in the docstring of the family holds each member with its own caption."""
    caption = (kind.__doc__ or "").rstrip(".")

    line = next(line for line in (FathometerError.__doc__ or "").splitlines() if f"─ {kind.__name__} " in line)

    assert line.split(kind.__name__)[1].strip().lower() == caption.lower()


def test_an_error_cannot_lack_a_part() -> None:
    """An error without its mend cannot be made."""
    with pytest.raises(TypeError):
        FathometerError("given", "expected")


def test_an_unknown_name_gets_the_nearest_right_one() -> None:
    """A slip of the keys is answered with the name that was meant; nonsense is not."""
    assert unknown_name("activation", "rleu", ["tanh", "relu"]).mend == 'Did you mean "relu"?'
    assert unknown_name("activation", "quokka", ["tanh", "relu"]).mend == "Take one of these"


def test_an_unknown_name_can_be_of_any_family() -> None:
    """The family of the error is the caller's choice, a SpecError if none is made."""
    assert type(unknown_name("column", "x", ["y"], RecordError)) is RecordError
    assert type(unknown_name("column", "x", ["y"])) is SpecError


def test_a_long_list_is_not_listed() -> None:
    """Of more than thirty names only the nearest are shown; of thirty all are."""
    names = [f"net-{number}" for number in range(31)]

    assert unknown_name("preset", "nett-17", names).expected.startswith("The nearest of 31 are: net-17, ")
    assert unknown_name("preset", "quokka", names).expected == "The nearest of 31 are: net-0, net-1, net-2, net-3, net-4, net-5"
    assert unknown_name("preset", "nett-17", names[:30]).expected == f"The known ones are: {', '.join(names[:30])}"


# What cannot be printed stands in an error as its code, and what is long is cut: tests/fuzz.
names = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=40)


@settings(deadline=None)
@given(given=names, known=st.lists(names, min_size=1, max_size=5))
def test_an_unknown_name_lists_every_known_one(given: str, known: list[str]) -> None:
    """Whatever was given, the error names it and all that is known."""
    error = unknown_name("thing", given, known)

    assert given in error.given
    assert [name for name in known if name not in error.expected] == []
