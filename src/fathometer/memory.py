"""When memory runs out: seen in any words, and what would have fitted."""

import ctypes
import gc
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from fathometer.errors import OutOfMemoryError

Way = tuple[str, Callable[[], object]]  # what could be done, in words, and how it is tried
_RUN_OUT = re.compile(r"can't allocate memory|cannot allocate memory|not enough memory|out of memory|bad_alloc", re.IGNORECASE)
_WANTED = re.compile(r"(?:tried to allocate|unable to allocate) ([\d.]+) ?(bytes|[KMGT]i?B)", re.IGNORECASE)
_UNITS = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_HELD_AT_LEAST = 320_000_000  # torch and this package, where the system does not tell


def ran_out(problem: BaseException | None) -> bool:
    """Return whether memory ran out here, or in what caused this: Python's, numpy's, torch's on a CPU or on a GPU."""
    while problem is not None:
        names = {kind.__name__ for kind in type(problem).__mro__}
        if names & {"MemoryError", "OutOfMemoryError"}:  # torch's is known by its name alone
            return True
        if isinstance(problem, RuntimeError | OSError) and _RUN_OUT.search(str(problem)):
            return True
        problem = problem.__cause__
    return False


def explained(problem: BaseException, doing: str, ways: Iterable[Way] = (), otherwise: str = "Ask for less") -> OutOfMemoryError:
    """Return the error that says what ran out of memory while doing what, and the first of some ways that fits, tried here.

    What a failed attempt has left in memory is let go before the next. `otherwise` is said where no way fits. An error that
    has its words already is returned as it is.
    """
    if isinstance(problem, OutOfMemoryError):
        return problem
    given, expected = f"Memory ran out {doing}", sizes(problem)
    for words, attempt in ways:
        let_go(problem)
        try:
            attempt()
        except Exception as again:
            if not ran_out(again):  # then nothing is known of this way
                break
            problem = again
        else:
            let_go(problem)
            return OutOfMemoryError(given, expected, f"Tried, and it fits: {words}")
    let_go(problem)
    return OutOfMemoryError(given, expected, otherwise)


def sizes(problem: BaseException) -> str:
    """Return how much was asked for and how much was free, in words."""
    found = next((match for one in _chain(problem) if (match := _WANTED.search(str(one)))), None)
    wanted = "More" if found is None else in_words(float(found[1]) * _UNITS[found[2][0].lower()])
    free = free_bytes(problem)
    return f"{wanted} was asked for at once" + ("" if free is None else f", and {in_words(free)} was free")


def in_words(number: int | float) -> str:
    """Return a number of bytes with its unit.

    >>> in_words(3_200_000_000), in_words(45_600), in_words(12)
    ('3.2 GB', '46 kB', '12 bytes')
    """
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.2g} {unit}" if number < 10 * size else f"{number / size:,.0f} {unit}"
    return f"{number:.0f} bytes"


def halves(size: int) -> Iterator[int]:
    """Yield half of a size, a quarter, and so on down to 1."""
    while size > 1:
        size //= 2
        yield size


def let_go(problem: BaseException) -> None:
    """Let go what the frames of a failed attempt hold: a batch, and all that its graph has kept."""
    for one in _chain(problem):
        traceback.clear_frames(one.__traceback__)
    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def give_back_pages() -> bool:
    """Give the system back what lies free between what this process holds; return whether that was possible (it is with glibc).

    Pieces that come and go in many sizes leave holes, in which the system's pages stay: `malloc_trim(3)`.
    """
    trim = _trim()
    return trim is not None and bool(trim(0))


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, TypeError, AttributeError):  # Windows has no None; macOS and musl no malloc_trim
        return None


def machine_bytes() -> int | None:
    """Return the memory that this process may have: the machine's, or what its limits leave; None where nothing tells."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        whole = None
    known = [size for size in (whole, *(most for most, _ in _limits())) if size is not None]
    return min(known, default=None)


def free_bytes(problem: BaseException | None = None) -> int | None:
    """Return the memory that is free, within the limits of this process; of the GPU where it was that which ran out."""
    torch: Any = sys.modules.get("torch")
    is_of_gpu = any("CUDA out of memory" in str(one) for one in _chain(problem))
    if is_of_gpu and torch is not None and torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[0])
    known = [max(most - used, 0) for most, used in _limits()]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        known.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")))
    except (OSError, StopIteration):
        pass
    return min(known, default=None)


def held_bytes() -> int:
    """Return the memory that this process holds now."""
    return _pages(1) or _HELD_AT_LEAST


def _limits() -> list[tuple[int, int]]:
    """Return the limits on this process's memory, each with what is used of it."""
    try:
        import resource
    except ImportError:
        return []
    found = []
    for kind, place in ((resource.RLIMIT_AS, 0), (resource.RLIMIT_DATA, 5)):
        most, used = resource.getrlimit(kind)[0], _pages(place)
        if most != resource.RLIM_INFINITY and used is not None:
            found.append((most, used))
    return found


def _pages(place: int) -> int | None:
    """Return one of the sizes of this process that Linux tells, in bytes: 0 all addresses, 1 resident, 5 data."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[place]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _chain(problem: BaseException | None) -> Iterator[BaseException]:
    while problem is not None:
        yield problem
        problem = problem.__cause__ or problem.__context__
