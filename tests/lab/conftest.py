"""A lab to ask: the application itself, in this process."""

from collections.abc import Callable, Iterator

import pytest
from starlette.testclient import TestClient

from fathometer.lab.guard import Rate
from fathometer.lab.server import make_server

HOST = "127.0.0.1:8642"
VISITOR = {"x-fathometer-visitor": "a-visitor-of-tests"}


@pytest.fixture
def make_lab() -> Iterator[Callable[..., TestClient]]:
    """Return a function that starts a lab and returns its client; every lab is closed at the end."""
    started = []

    def make(**options: object) -> TestClient:
        application = make_server((HOST,), **options)
        client = TestClient(application, base_url=f"http://{HOST}", headers=VISITOR)
        started.append(client)
        return client.__enter__()

    yield make
    for client in started:
        client.__exit__(None, None, None)


@pytest.fixture
def lab(make_lab: Callable[..., TestClient]) -> TestClient:
    """Return the client of a lab that lets in as many requests as a test makes."""
    return make_lab(rate=Rate(1e6, 1e6))
