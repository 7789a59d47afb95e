"""Results as strict JSON: every number comes back, also those that JSON has no word for."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathometer.json_text import dump, load

WORDS = ("NaN", "Infinity", "-Infinity")
texts = st.text().filter(lambda text: text not in WORDS)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)


def refuse(word: str) -> None:
    """Fail on a word that only Python's loose JSON knows."""
    raise AssertionError(f"{word} is not strict JSON")


@settings(deadline=None)
@given(value=values, indent=st.sampled_from([None, 2]))
def test_what_goes_out_comes_back(value: Any, indent: int | None) -> None:
    """Any nest of plain values, with or without finite numbers, is the same after a round trip."""
    # repr tells 1 from 1.0 and True, 0.0 from -0.0, and shows nan as itself.
    assert repr(load(dump(value, indent))) == repr(value)


@settings(deadline=None)
@given(value=values)
def test_the_text_is_strict_json(value: Any) -> None:
    """No bare NaN or Infinity is written, which other readers of JSON refuse."""
    json.loads(dump(value), parse_constant=refuse)


def test_a_bare_nan_is_seen() -> None:
    """Python's own loose writer fails that check."""
    with pytest.raises(AssertionError, match="NaN"):
        json.loads(json.dumps(float("nan")), parse_constant=refuse)


def test_tuples_become_lists_and_keys_become_text() -> None:
    """A tuple comes back as a list, a number as a key comes back as text."""
    assert load(dump({1: (1, (2.0, None))})) == {"1": [1, [2.0, None]]}


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "[1,]"])
def test_other_text_is_refused(text: str) -> None:
    """A text that is not JSON raises JSON's own error."""
    with pytest.raises(json.JSONDecodeError):
        load(text)
