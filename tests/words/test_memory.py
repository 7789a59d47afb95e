"""Memory that runs out is known in anyone's words, and what is said to fit was tried."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import fathometer
from fathometer.errors import ModelError, OutOfMemoryError
from fathometer.memory import (
    explained,
    free_bytes,
    give_back_pages,
    halves,
    held_bytes,
    in_words,
    let_go,
    machine_bytes,
    ran_out,
    sizes,
)

FAR_TOO_MUCH = 2**60
LIMITED = """
import resource
from fathometer.memory import free_bytes, machine_bytes
limit = 2**40
resource.setrlimit(resource.RLIMIT_DATA, (300_000_000, 300_000_000))
print(machine_bytes(), free_bytes())
"""

HOLES = """
from fathometer.memory import give_back_pages, held_bytes
pieces = [bytearray(90_000) for _ in range(2_000)]
del pieces[:-1]  # the last stays, and with it the heap below
held = held_bytes()
print(held, give_back_pages(), held_bytes())
"""


def raised(make: object) -> BaseException:
    """Return what a call raises."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011  (whatever it is, it is looked at)
        make()  # pyrefly: ignore[not-callable]
    return caught.value


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.empty(FAR_TOO_MUCH, dtype=torch.uint8),
        lambda: np.empty(FAR_TOO_MUCH, dtype=np.uint8),
        lambda: bytearray(FAR_TOO_MUCH),
    ],
    ids=["torch", "numpy", "python"],
)
def test_what_really_runs_out_is_known(make: object) -> None:
    """Torch on the CPU, numpy and Python each say it in their own way."""
    assert ran_out(raised(make))


@pytest.mark.parametrize(
    ("problem", "answer"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ..."), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."), True),
        (OSError(12, "Cannot allocate memory"), True),
        (OutOfMemoryError("a", "b", "c"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ModelError("out of memory", "in words", "alone"), False),
        (None, False),
    ],
    ids=str,
)
def test_other_words_for_it_are_known_and_other_errors_are_not(problem: BaseException | None, answer: bool) -> None:
    """A GPU's, Windows' and the system's words are known; another error, and one of ours with such words, is not taken for it."""
    assert ran_out(problem) is answer


def test_what_it_caused_is_known() -> None:
    """An error of ours that was raised from it counts too; one that was raised from another does not."""
    ours = ModelError("The model's forward raised", "x", "y")
    ours.__cause__ = MemoryError()
    other = ModelError("The model's forward raised", "x", "y")
    other.__cause__ = KeyError()

    assert ran_out(ours)
    assert not ran_out(other)


def test_the_first_way_that_fits_is_said() -> None:
    """Ways are tried in their order, and the first that does not run out is said to fit; the others are not tried."""
    tried = list[str]()

    def way(name: str, fits: bool) -> object:
        tried.append(name)
        return None if fits else torch.empty(FAR_TOO_MUCH, dtype=torch.uint8)

    problem = raised(lambda: torch.empty(FAR_TOO_MUCH, dtype=torch.uint8))
    ways = [(name, lambda name=name, fits=fits: way(name, fits)) for name, fits in (("a", False), ("b", True), ("c", True))]
    error = explained(problem, "in a test", ways, "Take less")

    assert (error.given, error.mend, tried) == ("Memory ran out in a test", "Tried, and it fits: b", ["a", "b"])
    assert error.expected.startswith("1,152,922 TB was asked for at once, and ")


def test_nothing_is_said_to_fit_that_was_not_seen_to() -> None:
    """Where a way fails otherwise, or none fits, the other advice is given; what has its words already keeps them."""

    def breaks() -> None:
        raise KeyError

    def too_much() -> None:
        raise MemoryError

    assert explained(MemoryError(), "here", [("a", breaks), ("b", lambda: None)], "Take less").mend == "Take less"
    assert explained(MemoryError(), "here", [("a", too_much)], "Take less").mend == "Take less"
    own = OutOfMemoryError("a", "b", "c")
    assert explained(own, "elsewhere") is own


def test_what_a_failed_attempt_held_is_let_go() -> None:
    """After an error its frames hold nothing, so that the next attempt has all of the memory."""
    from weakref import ref

    held = list[object]()

    def fail() -> None:
        large = torch.zeros(1000)
        held.append(ref(large))
        raise MemoryError

    problem = raised(fail)
    before = held[0]()
    assert before is not None
    del before
    let_go(problem)

    assert held[0]() is None


@pytest.mark.parametrize(("size", "found"), [(64, [32, 16, 8, 4, 2, 1]), (3, [1]), (1, []), (0, [])])
def test_halves(size: int, found: list[int]) -> None:
    """Half, a quarter, and so on down to one."""
    assert list(halves(size)) == found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("can't allocate memory: you tried to allocate 17179869184 bytes.", "17 GB"),
        ("CUDA out of memory. Tried to allocate 2.00 GiB.", "2.1 GB"),
        ("Unable to allocate 7.45 KiB for an array", "7.6 kB"),
        ("out of memory", "More"),
    ],
)
def test_how_much_was_asked_for_is_read(words: str, found: str) -> None:
    """Each library's way to say the size is read; where none is said, none is."""
    assert sizes(MemoryError(words)).startswith(f"{found} was asked for at once")


def test_sizes_in_words() -> None:
    """Two digits below ten, whole numbers above."""
    assert [in_words(size) for size in (999, 1000, 9_940_000, 10_500_000, 4.1e12)] == [
        "999 bytes",
        "1 kB",
        "9.9 MB",
        "10 MB",
        "4.1 TB",
    ]


def test_limits_of_the_process_count() -> None:
    """Where a process may have less than the machine has, that is what it is said to have."""
    environment = {**os.environ, "PYTHONPATH": str(Path(fathometer.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True, env=environment)
    machine, free = map(int, done.stdout.split())

    assert machine == 300_000_000
    assert 0 < free < 300_000_000
    if resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY:
        assert (machine_bytes() or 0) > 300_000_000
    assert held_bytes() > 10_000_000
    assert (free_bytes() or 0) > 0


def test_holes_are_given_back() -> None:
    """180 MB free below one piece that is kept go back where the C library can do it, and not by themselves."""
    environment = {**os.environ, "PYTHONPATH": str(Path(fathometer.__file__).parents[1]), "MALLOC_MMAP_THRESHOLD_": "1000000"}
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True, env=environment)
    before, is_given, after = done.stdout.split()

    if os.confstr("CS_GNU_LIBC_VERSION") is None:
        assert is_given == "False"
    else:
        assert int(before) > 180_000_000
        assert int(after) < 40_000_000


def test_a_system_without_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the C library has no such call, nothing is done and nothing is raised."""
    monkeypatch.setattr("fathometer.memory._trim", lambda: None)
    assert give_back_pages() is False
