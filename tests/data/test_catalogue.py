"""A data set is found by name, and a wrong option is named with the right one."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from fathometer.data import DATASETS, check_options, find_dataset
from fathometer.errors import DataError, SpecError


def test_options_reach_the_maker() -> None:
    """What is asked for by name is what is made."""
    assert find_dataset("parity", bits=6, samples=20).facts["shape"] == [6]
    assert find_dataset("text", path=Path(__file__), context=7).facts["context"] == 7


def test_an_unknown_name_is_an_error_with_the_nearest_right_one() -> None:
    """The catalogue says what was probably meant."""
    with pytest.raises(SpecError, match=r'no data set named "langage".*Did you mean "language"'):
        find_dataset("langage")


@pytest.mark.parametrize(
    ("name", "options", "given"),
    [
        ("text", {"contxt": 8}, 'no option of "text" named "contxt".*Did you mean "context"'),
        ("digits", {"context": 8}, 'no option of "digits" named "context"'),
        ("text", {"context": "8"}, "`context` of \"text\" is '8'. It must be a whole number. Try context = 256"),
        ("text", {"context": 8.0}, "It must be a whole number"),
        ("text", {"context": True}, '`context` of "text" is True'),
        ("text", {"path": 3}, "It must be text or a path. Give it so, or leave it out"),
        ("images", {"path": ".", "size": [8, 8, 8]}, "It must be a whole number or a list of 2 whole numbers"),
        ("images", {"path": ".", "size": ["a", "b"]}, "It must be a whole number or a list of 2 whole numbers"),
        ("images", {}, '"images" was given no `path`'),
        ("scenes", {"noise": "much"}, "It must be a number. Try noise = 0.1"),
    ],
)
def test_a_wrong_option_is_an_error_with_the_mend_in_it(name: str, options: dict[str, Any], given: str) -> None:
    """A name that there is not, a value of another type and a missing one are each said before anything is read."""
    with pytest.raises(DataError, match=given):
        find_dataset(name, **options)


def test_right_options_pass_as_a_file_writes_them() -> None:
    """Lists become tuples, whole numbers serve as numbers, and None is allowed where it is the default."""
    assert check_options("images", {"path": "folder", "size": [8, 6]}) == {"path": "folder", "size": (8, 6)}
    assert check_options("scenes", {"noise": 0}) == {"noise": 0}
    assert check_options("hierarchy", {"samples": None, "form": "tokens"}) == {"samples": None, "form": "tokens"}


@pytest.mark.parametrize("name", DATASETS)
def test_every_option_of_every_data_set_can_be_checked(name: str) -> None:
    """An object of no kind that an option takes is refused by name for each option, never a crash."""
    for option in inspect.signature(DATASETS[name]).parameters:
        with pytest.raises(DataError, match=f"`{option}` of"):
            check_options(name, {option: object()})
