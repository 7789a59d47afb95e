"""Values as nobody should give them: odd numbers, odd words, odd tables."""

import json
from typing import Any

from hypothesis import strategies as st

LARGE = (10**12, 10**400, -(10**400), 2**31, 2**32, 2**63, 2**64, -(2**63))
REALS = (0.0, -0.0, 0.5, 1e-320, 1e308, -1e308, float("nan"), float("inf"), float("-inf"))
NUMBERS = st.sampled_from((0, -1, 1, 2, 3, *LARGE, *REALS))
UNPRINTABLE = st.just(5000).map(lambda digits: 16**digits)  # Python writes no number of over 4,300 digits
PLAIN = "0 3 -1 1e3 nan inf NaN Infinity 'NaN' true off none None null auto {} [] __class__ %s%n $(id) [bold] ../../x ~ ~nobody/x"
STRANGE = (
    "",
    " ",
    "٣",
    "３",
    "½",
    "\ud800",
    "\udcff",
    "\x00",
    "a\x00b",
    "\n",
    "a\nb",
    "\x1b[31m",
    "\u202e",
    "é" * 300,
    "a" * 5000,
)
WORDS = st.sampled_from((*PLAIN.split(), *STRANGE))


def odd_values(depth: int = 2, numbers: st.SearchStrategy[Any] = NUMBERS) -> st.SearchStrategy[Any]:
    """Return a strategy of values that JSON and TOML can hold, most of them wrong wherever they stand."""
    leaves = st.none() | st.booleans() | numbers | st.integers(-5, 300) | st.floats() | WORDS | st.text(max_size=6)
    if depth == 0:
        return leaves
    inner = odd_values(depth - 1, numbers)
    return leaves | st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=2)


def json_bytes(value: Any) -> bytes:
    """Return a value as JSON, also with the constants that are no JSON."""
    return json.dumps(value).encode()


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw a file's bytes cut short, with bits turned, with a piece twice or with something else put in."""
    damage = draw(st.sampled_from(["cut", "bits", "twice", "put in", "nothing left", "zeros"]))
    at = draw(st.integers(0, max(0, len(content) - 1)))
    if damage == "cut":
        return content[:at]
    if damage == "bits":
        found = bytearray(content)
        for place in draw(st.lists(st.integers(0, max(0, len(content) - 1)), min_size=1, max_size=4)) if content else []:
            found[place] ^= 1 << draw(st.integers(0, 7))
        return bytes(found)
    if damage == "twice":
        return content[:at] + content[at // 2 : at] + content[at:]
    if damage == "put in":
        return content[:at] + draw(st.binary(max_size=12)) + content[at:]
    return b"" if damage == "nothing left" else content[:at] + bytes(len(content) - at)


def nested(opening: str, closing: str, times: int) -> str:
    """Return a text nested so deep that a reader may fall over it."""
    return opening * times + closing * times
