"""Bad input of every kind is refused in words; a parser that falls over is caught."""

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.fuzz.catalogue import KINDS
from benchmarks.fuzz.hunt import HangError, hunt, time_limit
from benchmarks.fuzz.kind import Kind, answer
from benchmarks.fuzz.long import fuzz_for, replay
from benchmarks.fuzz.values import WORDS, odd_values
from hypothesis import strategies as st

from fathometer.errors import FathometerError, SpecError, shown

pytestmark = pytest.mark.filterwarnings("ignore")  # what an input is warned of is no error
PINNED = [
    pytest.param(kind, value, id=f"{kind.name} {place}") for kind in KINDS.values() for place, value in enumerate(kind.pinned)
]


@pytest.mark.parametrize("name", KINDS)
def test_bad_input_is_refused_in_words(name: str) -> None:
    """A few inputs of each kind, always the same: each is accepted and means what it says, or is refused in three parts."""
    assert hunt(KINDS[name], 0, KINDS[name].few).found == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_more_bad_input_is_refused_in_words(name: str) -> None:
    """The same with many more of them."""
    assert hunt(KINDS[name], 1, 2 * KINDS[name].examples).found == ()


@pytest.mark.parametrize(("kind", "value"), PINNED)
def test_what_was_once_answered_wrong(kind: Kind, value: Any) -> None:
    """An input that once ended in a traceback, or was taken for something else, is answered as any other."""
    with time_limit():
        kind.check(value)


def broken(read: Any) -> Kind:
    """Return the kind of input of a parser."""

    def check(text: Any) -> bool:
        found = answer(lambda: read(text))
        assert found is None or 0 < found < 10, f"{found!r} was accepted"
        return found is not None

    return Kind("broken", WORDS | st.text(max_size=3), check, 200, pinned=("1",))


def falls_over(text: str) -> int:
    """Read a number, and forget that a text may be none."""
    return min(9, 1 + abs(int(text)))


def takes_anything(text: str) -> float:
    """Read a number, and take what is none as well."""
    try:
        return float(text)
    except ValueError:
        raise SpecError(f"{shown(text)} was given", "It must be a number", "Try 3") from None


def says_too_little(text: str) -> int:
    """Refuse, and not say how to mend it."""
    raise SpecError(f"{shown(text)} was given", "It must be a number", " ")


def is_right(text: str) -> float:
    """Read a number from above 0 to 10, and refuse all others in words."""
    value = takes_anything(text)
    if not text.isascii() or not 0 < value < 10:
        raise SpecError(f"{shown(text)} was given", "It must be a number from 0 to 10", "Try 3")
    return value


@pytest.mark.parametrize(
    ("read", "what"),
    [(falls_over, "ValueError"), (takes_anything, "was accepted"), (says_too_little, "`mend` says nothing")],
    ids=["falls over", "takes anything", "says too little"],
)
def test_a_broken_parser_is_caught(read: Any, what: str) -> None:
    """The control: a parser with a fault planted in it is found out, by the smallest text that does it."""
    found = hunt(broken(read), 0).found

    assert any(what in f"{one.where} {one.what}" for one in found)
    assert all(len(one.example) < 20 for one in found)


def test_a_right_parser_is_not() -> None:
    """The control of the control: the same parser with its fault mended passes, and accepts some."""
    done = hunt(broken(is_right), 0)

    assert (done.found, done.accepted > 0) == ((), True)


def for_ever() -> None:
    """Never return."""
    with time_limit(0.1):
        while True:
            pass


def test_a_hang_is_caught() -> None:
    """An example that does not end is a finding, not the end of the fuzz."""
    with pytest.raises(HangError):
        for_ever()


def test_a_seed_draws_the_same_again() -> None:
    """What a seed found is found again with it; another seed draws others."""
    kind = Kind("odd", odd_values(), lambda value: bool(len(repr(value)) % 2), 40)
    one, again, other = (hunt(kind, seed) for seed in (3, 3, 4))

    assert (one.examples, one.accepted) == (again.examples, again.accepted)
    assert one.accepted != other.accepted


def test_the_long_fuzz_keeps_its_seeds(tmp_path: Path) -> None:
    """Each slice is written down before it begins and when it is done, and can be had again by its seed."""
    rows = fuzz_for(0.01, 5, ["spec table"], tmp_path / "fuzz" / "seeds.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "fuzz" / "seeds.jsonl").read_text(encoding="utf-8").splitlines()]

    assert [row["kind"] for row in rows] == ["spec table"]
    assert rows[0]["failures"] == 0
    assert {line["state"] for line in lines} == {"begun", "done"}
    assert replay("spec table", lines[0]["seed"]).examples == lines[1]["examples"]


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31m", "\ud800", "\x00"])
def test_an_error_is_one_line_of_what_can_be_printed(text: str) -> None:
    """Whatever a user gave, the error shows it in one line, with codes for what no terminal should be sent."""
    problem = FathometerError(f'There is no "{text}"', "It must be there", "Make it")

    assert str(problem).isprintable()
    assert problem.given.startswith('There is no "')


def test_a_long_error_is_cut_in_its_middle() -> None:
    """A text of a million letters is not shown in full, and a number of thousands of digits not at all."""
    assert len(str(FathometerError("a" * 10**6, "b" * 10**6, "c"))) < 2000
    assert shown(16**5000) == "an int too large to be shown"
    assert len(shown("a" * 1000)) == 100
