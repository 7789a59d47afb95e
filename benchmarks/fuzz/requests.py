"""Requests to the lab, to the application itself, in this process."""

import json
from functools import cache
from typing import Any

from hypothesis import strategies as st
from starlette.testclient import TestClient

from benchmarks.fuzz.kind import Kind
from benchmarks.fuzz.values import WORDS, damaged, json_bytes, nested, odd_values
from fathometer.lab.controls import CHOICES, NUMBERS
from fathometer.lab.desk import Desk
from fathometer.lab.guard import Rate
from fathometer.lab.lessons.catalogue import LESSONS
from fathometer.lab.orders import FULL_SIZE, NORMS_AT_FULL_SIZE, read_order
from fathometer.lab.orders import KINDS as WORK
from fathometer.lab.server import make_server
from fathometer.lab.setting import read_setting

HOST = "127.0.0.1:8642"
VISITOR = "a-visitor-of-the-fuzz"
PATHS = [
    "/api/theory",
    "/api/jobs",
    "/api/beginning",
    "/",
    "/main.js",
    "/api/jobs/none",
    "/api/jobs/none/events",
    "/../etc/passwd",
    "//x",
]
PATHS += [
    "/%2e%2e/%2e%2e/etc/passwd",
    "/api/lessons/",
    "/api/%00",
    "/\\..\\x",
    "/api/theory/",
    "/api/jobs/%ff",
    "/static/lab.css",
]
PATHS += [f"/api/lessons/{name}" for name in (*LESSONS, "none", "%F0%9F%98%80", "a" * 900)]
ANSWERS = {200, 202, 304, 307, 400, 403, 404, 405, 413, 414, 415, 421, 422, 429}
Asked = tuple[str, str, bytes, dict[str, str]]


class Clerk(Desk):
    """A desk that takes orders in, and hands none to a worker."""

    def warm(self) -> None:
        """Start nothing."""

    def _advance(self) -> None:
        for job in self.waiting():
            job.state = "stopped"  # over at once, so that the line is never full


@cache
def lab() -> TestClient:
    """Return the lab, begun once for all requests."""
    application = make_server((HOST,), desk=Clerk, rate=Rate(1e9, 1e9))
    client = TestClient(application, base_url=f"http://{HOST}", raise_server_exceptions=True)
    client.__enter__().app.application.state.orders = Rate(1e9, 1e9)
    return client


@st.composite
def settings(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a setting, with a few controls as they are and a few as they cannot be."""
    table = dict[str, Any]()
    for name in draw(st.lists(st.sampled_from([*CHOICES, *NUMBERS]), max_size=5, unique=True)):
        right = (
            st.sampled_from(list(CHOICES[name]))
            if name in CHOICES
            else st.sampled_from([NUMBERS[name].least, NUMBERS[name].first])
        )
        table[name] = draw(odd_values(1) if draw(st.integers(0, 5)) == 0 else right)
    if draw(st.integers(0, 7)) == 0:
        table[draw(WORDS)] = draw(odd_values(1))
    return table


@st.composite
def orders(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an order, and spoil a part of it now and then."""
    remedy = st.none() | st.fixed_dictionaries({"place": st.integers(-1, 100), "name": WORDS})
    table: dict[str, Any] = {"kind": draw(st.sampled_from(list(WORK))), "setting": draw(settings()), "remedy": draw(remedy)}
    table |= {"target": draw(st.sampled_from(FULL_SIZE)), "residual": draw(st.sampled_from(NORMS_AT_FULL_SIZE))}
    if draw(st.integers(0, 2)) == 0:
        table[draw(st.sampled_from([*table, "trained"]) | WORDS)] = draw(odd_values(1))
    return table


@st.composite
def requests(draw: st.DrawFn) -> Asked:
    """Draw a request: method, address, body and headers."""
    path = draw(st.sampled_from(PATHS[:2]) if draw(st.booleans()) else st.sampled_from(PATHS))
    value = draw({"/api/theory": settings(), "/api/jobs": orders()}.get(path, st.fixed_dictionaries({"value": odd_values(1)})))
    body = json_bytes(value)
    if draw(st.integers(0, 4)) == 0:
        odd = odd_values().map(json_bytes) | st.sampled_from(
            [nested("[", "]", 8000).encode(), b"\xff", b"1" * 5000, b"1e999", b"a" * 17_000]
        )
        body = draw(damaged(body) | odd)
    headers = {"x-fathometer-visitor": VISITOR}
    if draw(st.integers(0, 4)) == 0:
        names = ["host", "origin", "content-type", "content-length", "last-event-id", "if-none-match", "x-fathometer-visitor"]
        odd_words = ["", "0", "-1", "99999999999999999999", "null", "a" * 3000, "text/plain", "http://evil.example", "\xff"]
        headers[draw(st.sampled_from([*names, "sec-fetch-site"]))] = draw(st.sampled_from(odd_words))
    method = "POST" if draw(st.integers(0, 3)) else draw(st.sampled_from(["GET", "DELETE", "PUT", "HEAD", "OPTIONS", "TRACE"]))
    return method, path, body, {"content-type": "application/json", **headers}


def check_request(asked: Asked) -> bool:
    """Raise unless a request is answered, or refused with a status and in words; what was accepted reads the same again."""
    method, path, body, headers = asked
    found = lab().request(method, path, content=body, headers={name: value.encode("latin-1") for name, value in headers.items()})
    assert found.status_code in ANSWERS, f"answered {found.status_code}"
    if found.status_code >= 400 and method != "HEAD":
        table = found.json()
        assert table["error"].strip()
        assert found.status_code != 422 or all(table[part].strip() for part in ("given", "expected", "mend"))
        assert len(table["error"]) < 2000
    if found.status_code == 200 and path == "/api/theory" and method == "POST":
        setting = read_setting(json.loads(body))
        assert read_setting(found.json()["setting"]) == setting
    if found.status_code == 202:
        order = read_order(json.loads(body))
        assert read_order(json.loads(json.dumps(order.to_dict()))) == order
    return found.status_code < 400


KINDS = (Kind("request to the lab", requests(), check_request, 100, 20),)
