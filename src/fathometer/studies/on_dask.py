"""The executor of a Dask scheduler, by its address."""

from collections.abc import Generator
from concurrent.futures import Executor
from contextlib import contextmanager

from fathometer.errors import TargetError

SECONDS = 20  # until a scheduler that does not answer is given up


@contextmanager
def dask_executor(address: str) -> Generator[Executor]:
    """Hand out an executor whose work is done by the workers of a Dask scheduler, like "tcp://host:8786".

    Raises `TargetError` where Dask is not installed or nothing answers.
    """
    try:
        from distributed import Client
    except ImportError:
        raise TargetError(
            "Dask is not installed", "Its client gives the executor", "Run: pip install 'fathometer[dask]'"
        ) from None
    try:
        client = Client(address, timeout=SECONDS, set_as_default=False)
    except (OSError, ValueError) as problem:
        raise TargetError(
            f'No Dask scheduler answers at "{address}": {problem}',
            'An address is like "tcp://host:8786"',
            "Start one, or check it",
        ) from None
    with client:
        yield client.get_executor()
