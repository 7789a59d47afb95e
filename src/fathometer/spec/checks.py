"""What a field of a spec may be: counts, sizes, words, flags."""

import sys
from collections.abc import Mapping

from fathometer.errors import SpecError, shown, unknown_name

MOST, MOST_DEEP = 10**9, 10**6  # of anything that is counted, and of layers one after another
LARGEST = sys.float_info.max  # a whole number may be larger, and is no finite number then


def check_count(name: str, value: object, *, optional: bool = False) -> None:
    """Raise `SpecError` unless the value is a whole number of at least 1 (or None, where the field is optional)."""
    if optional and value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SpecError(
            f"`{name}` is {shown(value)}", "It must be a whole number of at least 1", f"Try {name} = {_nearest(value)}"
        )
    most = MOST_DEEP if name == "depth" else MOST
    if value > most:
        raise SpecError(f"`{name}` is {shown(value)}", f"It is at most {most:,}", f"Try {name} = {most}")


def check_size(name: str, value: object, *, optional: bool = False, below: float = float("inf")) -> None:
    """Raise `SpecError` unless the value is a finite number from 0 up to, and not at, `below` (or None)."""
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < below or value > LARGEST:
        at_most = "a finite number of at least 0" if below == float("inf") else f"at least 0 and below {below:g}"
        raise SpecError(f"`{name}` is {shown(value)}", f"It must be {at_most}", f"Try {name} = {min(1.0, below / 10)}")


def check_positive(name: str, value: object, nearest: float, *, optional: bool = False) -> None:
    """Raise `SpecError` unless the value is a finite number above 0 (or None)."""
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LARGEST:
        raise SpecError(f"`{name}` is {shown(value)}", "It must be a finite number above 0", f"Try {name} = {nearest}")


def check_seed(seed: object) -> None:
    """Raise `SpecError` unless every generator takes this seed: torch's, numpy's and Python's."""
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise SpecError(f"`seed` is {shown(seed)}", "It must be a whole number from 0 to 2**32 - 1", "Try seed = 0")


def check_flag(name: str, value: object) -> None:
    """Raise `SpecError` unless the value is True or False."""
    if not isinstance(value, bool):
        raise SpecError(f"`{name}` is {shown(value)}", "It must be true or false", f"Try {name} = {str(bool(value)).lower()}")


def check_word(name: str, value: object, example: str, *, optional: bool = False) -> None:
    """Raise `SpecError` unless the value is a string (or None)."""
    if not isinstance(value, str) and not (optional and value is None):
        raise SpecError(
            f"`{name}` is {shown(value)}", "It must be a word in quotation marks", f'For example {name} = "{example}"'
        )


def check_known(kind: str, value: str | None, known: Mapping[str, object]) -> None:
    """Raise `SpecError`, with the nearest right name, unless the value is None or among those known."""
    if value is not None and value not in known:
        raise unknown_name(kind, value, known)


def check_multiple(name: str, value: int, of: int, because: str) -> None:
    """Raise `SpecError`, with the nearest multiples, unless the value is a multiple of `of`."""
    if value % of == 0:
        return
    near = [multiple for multiple in (value // of * of, (value // of + 1) * of) if multiple > 0]
    raise SpecError(
        f"`{name}` is {value}", f"{because} it must be a multiple of {of}", f"Try {name} = {' or '.join(map(str, near))}"
    )


def check_divisor(name: str, value: int, of: int, because: str) -> None:
    """Raise `SpecError`, with the nearest divisors, unless the value divides `of`."""
    if of % value == 0:
        return
    below = largest_divisor(of, value)
    above = next((number for number in range(value, of + 1) if of % number == 0), None)
    near = [number for number in (below, above) if number is not None]
    raise SpecError(f"`{name}` is {value}", f"{because} it must divide {of}", f"Try {name} = {' or '.join(map(str, near))}")


def largest_divisor(number: int, at_most: int) -> int:
    """Return the largest divisor of a number that is not above `at_most`.

    >>> largest_divisor(100, 6)
    5
    """
    return next(divisor for divisor in range(max(1, min(at_most, number)), 0, -1) if number % divisor == 0)


def _nearest(value: object) -> int:
    return max(1, round(value)) if isinstance(value, float) and abs(value) < 1e9 else 1
