"""The door: who may ask, how much, how often; never a traceback."""

import asyncio
import json
from collections.abc import Callable
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from fathometer.lab.guard import HEADERS, MOST_BYTES, Guard, Rate
from fathometer.lab.setting import Setting

FIELDS = sorted(Setting().to_dict())
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1:1"}, 421),
        ({"host": "localhost.evil.example:8642"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-length": "999999999999999999999"}, 413),
        ({"content-length": "-5"}, 413),
    ],
)
def test_what_does_not_come_from_the_own_page_is_refused(lab: TestClient, headers: dict[str, str], status: int) -> None:
    """Another host's name, another page's origin, a form and a lie about the length are refused, and nothing is done."""
    good = {"content-type": "application/json"}
    answer = lab.post("/api/theory", content=b"{}", headers={**good, **headers})

    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert lab.post("/api/theory", content=b"{}", headers=good).status_code == 200


def test_no_other_page_is_let_in(lab: TestClient) -> None:
    """No answer allows another origin, a preflight request is refused, and every answer forbids other sources."""
    asked = lab.request("OPTIONS", "/api/theory", headers={"origin": "http://evil.example"})
    page = lab.get("/")

    assert asked.status_code in (403, 405)
    for answer in (asked, page, lab.get("/nothing")):
        assert "access-control-allow-origin" not in answer.headers
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in HEADERS["content-security-policy"]


def test_what_is_too_large_is_refused(lab: TestClient) -> None:
    """A body over the limit is refused, also where it comes in parts that do not say how many; one within it is read."""
    parts = (b" " * 1024 for _ in range(MOST_BYTES // 1024 + 1))
    json_type = {"content-type": "application/json"}

    assert lab.post("/api/theory", content=b" " * (MOST_BYTES + 1), headers=json_type).status_code == 413
    assert lab.post("/api/theory", content=parts, headers=json_type).status_code == 413
    assert lab.post("/api/theory", content=b"{}" + b" " * (MOST_BYTES - 2), headers=json_type).status_code == 200
    assert lab.get("/" + "a" * 2000).status_code == 414


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%5c..%5cwindows",
        "/__init__.py",
        "/static/main.js",
        "/%00",
        "/api",
        "/api/jobs/none",
    ],
)
def test_only_the_pages_own_files_are_served(lab: TestClient, path: str) -> None:
    """No path leads out of the page's own files."""
    assert lab.get(path).status_code == 404


@pytest.mark.parametrize(
    "raw",
    [
        *(
            "/static/../../etc/passwd",
            "/static/%2e%2e/%2e%2e/etc/passwd",
            "/%252e%252e/etc/passwd",
            "//etc/passwd",
            "/..;/etc/passwd",
        ),
        *(
            "/static/..%2f..%2fetc%2fpasswd",
            "/main.js/../../pages.py",
            "/main.js%00.py",
            "/./../lab/server.py",
            "/C:\\windows\\win.ini",
        ),
    ],
)
def test_a_path_as_it_is_sent_leads_nowhere(lab: TestClient, raw: str) -> None:
    """Sent as they are, past a client that would tidy them, ways out of the page's files end in 404; the control is a file."""

    def status(path: str) -> int:
        sent, given = list[dict](), iter([{"type": "http.request", "body": b"", "more_body": False}])
        scope = {"type": "http", "method": "GET", "path": unquote(path), "raw_path": path.encode(), "query_string": b""}
        scope |= {"headers": [(b"host", b"127.0.0.1:8642")], "app": lab.app, "http_version": "1.1", "scheme": "http"}

        async def receive() -> dict:
            return next(given)

        async def send(message: dict) -> None:
            sent.append(message)

        asyncio.run(lab.app(scope, receive, send))
        return sent[0]["status"]

    assert status(raw) == 404
    assert status("/main.js") == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "CONNECT", "BREW"])
def test_a_method_that_there_is_not_is_refused(lab: TestClient, method: str) -> None:
    """Only GET, HEAD, POST and DELETE are let in, and each only where it belongs."""
    assert lab.request(method, "/api/theory").status_code == 405
    assert lab.get("/api/theory").status_code in (404, 405)
    assert lab.request("DELETE", "/api/theory").status_code == 405


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 12_000,
        b"NaN",
        b'{"depth": NaN}',
        b"1" * 6000,
        b'{"depth": 1e999}',
        b"[]",
        b"3",
        b'"x"',
        b"null",
    ],
    ids=lambda body: repr(body[:12]),
)
@pytest.mark.parametrize("path", ["/api/theory", "/api/jobs", "/api/lessons/what-goes-wrong"])
def test_a_broken_body_is_a_4xx(lab: TestClient, path: str, body: bytes) -> None:
    """What is not JSON, or not the JSON that is read there, is refused in words."""
    answer = lab.post(path, content=body, headers={"content-type": "application/json"})

    may_begin = path.startswith("/api/lessons") and answer.status_code == 200  # a body without a value is where it begins
    assert may_begin or 400 <= answer.status_code < 500
    assert "Traceback" not in answer.text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), ANYTHING, max_size=5), kind=ANYTHING)
def test_no_table_makes_the_server_stumble(lab: TestClient, table: dict[str, object], kind: object) -> None:
    """Whatever stands in a setting or an order, the answer is 200 or 4xx, in words."""
    bodies = {
        "/api/theory": table,
        "/api/jobs": {"kind": kind, "setting": table},
        "/api/lessons/the-power-of-depth": {"value": kind},
    }
    for path, body in bodies.items():
        content = json.dumps(body).encode()
        answer = lab.post(path, content=content, headers={"content-type": "application/json", "x-fathometer-visitor": "x"})
        assert answer.status_code in (200, 400, 413, 422, 429)
        assert "Traceback" not in answer.text


def test_too_many_requests_wait(make_lab: Callable[..., TestClient]) -> None:
    """Beyond the rate the answer is 429 and says when to come again."""
    lab = make_lab(rate=Rate(0.001, 3))
    statuses = [lab.get("/").status_code for _ in range(5)]

    assert statuses == [200, 200, 200, 429, 429]
    assert lab.get("/").headers["retry-after"] == "2"


def test_a_bucket_fills_again() -> None:
    """A rate lets through what its bucket holds, and as much again as time has filled."""
    now = [0.0]
    rate = Rate(2, 4, clock=lambda: now[0])

    assert [rate.allows() for _ in range(5)] == [True] * 4 + [False]
    now[0] = 1.0
    assert [rate.allows() for _ in range(3)] == [True, True, False]


def test_a_fault_of_ours_is_one_short_line() -> None:
    """An exception in a handler is told to the terminal, and the visitor gets 500 without a traceback."""

    async def broken(scope: object, receive: object, send: object) -> None:
        raise RuntimeError("secret detail")

    client = TestClient(Guard(broken, ("testserver",)), raise_server_exceptions=False)
    answer = client.get("/")

    assert answer.status_code == 500
    assert "secret" not in answer.text
