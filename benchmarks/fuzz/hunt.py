"""Draws inputs of a kind, guards time and memory, keeps what was found."""

import faulthandler
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import process_time
from typing import Any

from hypothesis import HealthCheck, Phase, example, given, seed, settings

from benchmarks.fuzz.kind import Kind

SECONDS = 20  # of processor time that one example may take
SHOWN = 4000  # characters of an example that are kept


class HangError(AssertionError):
    """An example that took longer than it may."""


@dataclass(frozen=True)
class Found:
    """An input that was answered wrong: the smallest one, where, and the words."""

    kind: str
    seed: int
    where: str
    what: str
    example: str


@dataclass(frozen=True)
class Slice:
    """What came of some examples of one kind, drawn from one seed."""

    kind: str
    seed: int
    examples: int
    accepted: int
    seconds: float
    found: tuple[Found, ...]


def hunt(kind: Kind, number: int, examples: int | None = None) -> Slice:
    """Draw examples of a kind from a seed, and return what was answered wrong; the same number draws the same examples."""
    smallest: dict[str, tuple[Any, BaseException]] = {}
    count, accepted, begin = 0, 0, process_time()

    def tried(value: Any) -> None:
        nonlocal count, accepted
        count += 1
        try:
            with time_limit():
                accepted += kind.check(value)
        except Exception as problem:
            where = place_of(problem)
            if where not in smallest or len(repr_of(value)) <= len(repr_of(smallest[where][0])):
                smallest[where] = (value, problem)
            raise

    try:
        drawn(kind, tried, examples or kind.examples, number)()
    except Exception:
        if not smallest:  # the fuzz's own fault
            raise
    found = [Found(kind.name, number, where, words_of(problem), repr_of(value)) for where, (value, problem) in smallest.items()]
    return Slice(kind.name, number, count, accepted, process_time() - begin, tuple(found))


def drawn(kind: Kind, check: Callable[[Any], object], examples: int, number: int) -> Callable[[], None]:
    """Return a function that tries what is pinned, and so many examples drawn from a seed."""

    def body(value: Any) -> None:
        check(value)

    test: Any = given(value=kind.inputs)(body)
    for value in kind.pinned:
        test = example(value=value)(test)
    quiet = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    return seed(number)(quiet(test))


@contextmanager
def time_limit(seconds: float = SECONDS) -> Iterator[None]:
    """Raise `HangError` in a block that takes longer; what no signal reaches ends the process and says where it was."""

    def ring(*_: object) -> None:
        raise HangError(f"more than {seconds} seconds")

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    faulthandler.dump_traceback_later(seconds * 20, exit=True)  # by the clock, of a machine that others use too
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def place_of(problem: BaseException) -> str:
    """Return the kind of an exception and the line that raised it."""
    if hasattr(problem, "where"):
        return f"{type(problem).__name__} in {problem.where}"
    last = traceback.extract_tb(problem.__traceback__)[-1]
    own = [frame for frame in traceback.extract_tb(problem.__traceback__) if "fathometer" in frame.filename.split("/")]
    frame = own[-1] if own else last
    return f"{type(problem).__name__} in {'/'.join(frame.filename.split('/')[-2:])}:{frame.lineno} {frame.name}"


def words_of(problem: BaseException) -> str:
    """Return what an exception says, cut where it is long."""
    return text_of(lambda: str(problem), 300)


def repr_of(value: Any) -> str:
    """Return an example as one can paste it."""
    return text_of(lambda: repr(value), SHOWN)


def text_of(make: Callable[[], str], most: int) -> str:
    """Return a text in ASCII, cut where it is long; a number too long to print is said to be one."""
    try:
        text = make()
    except ValueError as problem:
        text = f"not printable: {problem}"
    return text[:most].encode("ascii", "backslashreplace").decode()
