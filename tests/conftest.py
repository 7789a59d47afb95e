"""What every test has: one thread, and a seed that is shown on failure."""

import gc
import os
from zlib import crc32

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch and numpy start their threads
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
import torch

torch.set_num_threads(1)  # two threads can be many times slower than one for small networks


def pytest_collection_finish() -> None:
    """Let the collector pass over what all tests share, torch and the tests themselves: a look at it takes a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def seeded(request: pytest.FixtureRequest) -> None:
    """Let torch draw the same numbers in a test whatever ran before it, as tests run in any order."""
    torch.manual_seed(crc32(request.node.nodeid.encode()))


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Return a seed of the test's own, the same in every run; pytest shows what is printed here when the test fails."""
    value = crc32(request.node.nodeid.encode()) % 2**31
    print(f"seed = {value}")
    return value
