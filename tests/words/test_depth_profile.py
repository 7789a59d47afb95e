"""Numbers by depth survive saving, and their gain is that of the series."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathometer import json_text
from fathometer.depth_profile import COLUMNS, DepthProfile
from fathometer.errors import FathometerError

numbers = st.none() | st.floats()


@st.composite
def profiles(draw: st.DrawFn) -> DepthProfile:
    """Draw any profile, with unknown, infinite and nan numbers."""
    depth = draw(st.integers(0, 6))
    series = st.lists(numbers, min_size=depth, max_size=depth).map(tuple)
    tables = [draw(st.dictionaries(st.sampled_from(list(COLUMNS)), series, max_size=3)) for _ in range(3)]
    facts = draw(st.dictionaries(st.text(max_size=5), st.none() | st.floats() | st.just("words"), max_size=3))
    points = tuple(f"block {number}" for number in range(1, depth + 1))
    return DepthProfile(draw(st.sampled_from(["measured", "forecast"])), points, *tables, facts=facts)


def signal(*values: float | None) -> DepthProfile:
    """Return a measured profile with one column."""
    return DepthProfile("measured", tuple(str(number) for number in range(len(values))), {"signal": values})


@pytest.mark.usefixtures("as_a_user_has_it")  # the checks draw random numbers, which a strategy may not
@settings(deadline=None)
@given(profile=profiles())
def test_a_profile_survives_saving(profile: DepthProfile) -> None:
    """A profile is the same after it went through a dictionary and through JSON."""
    back = DepthProfile.from_dict(json_text.load(json_text.dump(profile.to_dict())))

    # repr, because a nan is not equal to itself.
    assert repr(back) == repr(profile)


@settings(deadline=None)
@given(
    gain=st.floats(1e-3, 1e3),
    start=st.floats(1e-30, 1e30),
    depth=st.integers(2, 40),
    gaps=st.sets(st.integers(1, 38), max_size=5),
)
def test_the_gain_of_a_geometric_series_is_its_factor(gain: float, start: float, depth: int, gaps: set[int]) -> None:
    """A series that grows by one factor has that gain per block, also with unknown numbers inside it."""
    values = [None if block in gaps and block < depth - 1 else start * gain**block for block in range(depth)]

    # Two logs up to 345, each rounded to 6e-14, over at least one block.
    assert signal(*values).gain_per_block("signal") == pytest.approx(gain, rel=1e-12)


def test_the_gain_survives_an_underflow_of_the_ratio() -> None:
    """Five hundred decades from first to last still give the right gain."""
    assert signal(1e250, None, 1e-250).gain_per_block("signal") == pytest.approx(1e-250, rel=1e-9)  # 1151 in the exponent


@pytest.mark.parametrize(
    "values", [(), (1.0,), (None, 1.0, None), (0.0, 1.0), (-1.0, 1.0), (math.inf, 1.0), (math.nan, 1.0)], ids=str
)
def test_one_positive_number_has_no_gain(values: tuple[float | None, ...]) -> None:
    """With fewer than two positive finite numbers the gain is not known."""
    assert signal(*values).gain_per_block("signal") is None


def test_known_skips_what_is_not_a_number() -> None:
    """Unknown, infinite and nan entries are left out, and the places of the others are kept."""
    assert signal(1.0, None, math.inf, math.nan, -2.0).known("signal") == [(0, 1.0), (4, -2.0)]


def test_a_column_that_was_not_measured_is_unknown_everywhere() -> None:
    """A column that exists but was not measured is None at every depth."""
    assert signal(1.0, 2.0).column("rank") == (None, None)


@pytest.mark.parametrize("ask", ["column", "known", "gain_per_block"])
def test_an_unknown_column_is_named(ask: str) -> None:
    """Asking for a column that does not exist gives the nearest one that does."""
    with pytest.raises(FathometerError, match='Did you mean "gradient"'):
        getattr(signal(1.0), ask)("gradeint")


@pytest.mark.parametrize("table", ["values", "low", "high"])
def test_a_series_of_another_length_is_our_own_mistake(table: str) -> None:
    """A column with more or fewer numbers than there are points is an assertion, not a user's error."""
    tables: dict[str, Any] = {"values": {}, "low": {}, "high": {}, table: {"signal": (1.0, 2.0)}}

    with pytest.raises(AssertionError, match="2 numbers for 1 points"):
        DepthProfile("measured", ("1",), **tables)


def test_a_frame_has_one_row_for_each_point() -> None:
    """The table for pandas counts depth from 1 and keeps the names and the columns."""
    pytest.importorskip("pandas")

    frame = signal(1.0, None, 4.0).to_pandas()

    assert list(frame.columns) == ["depth", "point", "signal"]
    assert (list(frame["depth"]), list(frame["point"])) == ([1, 2, 3], ["0", "1", "2"])
    assert frame["signal"].isna().tolist() == [False, True, False]


def test_every_column_says_what_it_holds() -> None:
    """Each column of the catalogue has a sentence about what it is."""
    assert [name for name, meaning in COLUMNS.items() if len(meaning.split()) < 5] == []
