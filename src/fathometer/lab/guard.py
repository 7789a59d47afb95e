"""The door of the server: who may ask, how much, how often."""

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from time import monotonic
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BYTES = 16 * 1024  # of a request's body
MOST_PATH = 1024  # bytes of path and query
METHODS = ("GET", "HEAD", "POST", "DELETE")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-cache",
}


class Rate:
    """A bucket that fills with `per_second` requests a second, up to `burst`."""

    def __init__(self, per_second: int | float, burst: int | float, clock: Callable[[], float] = monotonic) -> None:
        self.per_second, self.burst, self.clock = per_second, burst, clock
        self.level, self.at = burst, clock()

    def allows(self) -> bool:
        """Take one request out of the bucket, and say whether there was one."""
        now = self.clock()
        self.level = min(self.burst, self.level + (now - self.at) * self.per_second)
        self.at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


class RefusedError(Exception):
    """A request that is not let in, with the status and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        self.status, self.reason = status, reason
        super().__init__(reason)


class Guard:
    """Middleware: lets in what comes from this machine's own page, in bounds, and dresses every answer."""

    def __init__(self, application: Application, hosts: Iterable[str], rate: Rate | None = None) -> None:
        self.application, self.hosts = application, frozenset(hosts)
        self.rate = rate or Rate(400, 800)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it with a 4xx; a fault of ours is one short line, never a traceback."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        started = False

        async def dressed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *own]
            await send(message)

        try:
            self._check(scope)
            body = await _body(scope, receive)
            await self.application(scope, _replayed(body, receive), dressed)
        except RefusedError as refusal:
            await refuse(dressed, refusal.status, refusal.reason)
        except Exception:
            if not started:
                await refuse(dressed, 500, "The lab made a mistake; its terminal says more.")
            raise

    def _check(self, scope: Scope) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "").lower()
        if host not in self.hosts:
            raise RefusedError(421, "The lab answers to this machine alone.")
        if not self.rate.allows():
            raise RefusedError(429, "Too many requests: wait a moment.")
        if scope["method"] not in METHODS:
            raise RefusedError(405, "There is no such method here.")
        if len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"") > MOST_PATH:
            raise RefusedError(414, "The address is too long.")
        if headers.get("origin", f"http://{host}").lower() != f"http://{host}":
            raise RefusedError(403, "The lab answers to its own page alone.")
        if scope["path"].startswith("/api/") and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise RefusedError(403, "The lab answers to its own page alone.")
        if scope["method"] == "POST" and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RefusedError(415, "The lab reads JSON.")


async def _body(scope: Scope, receive: Receive) -> bytes:
    """Return the whole body, which is never long."""
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    if not declared.isdigit() or int(declared[:12]) > MOST_BYTES or len(declared) > 12:
        raise RefusedError(413, f"A request has at most {MOST_BYTES:,} bytes.")
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise RefusedError(400, "The request ended before its time.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BYTES:
            raise RefusedError(413, f"A request has at most {MOST_BYTES:,} bytes.")
        if not message.get("more_body"):
            return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once, and then what really comes."""
    is_given = False

    async def replay() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def refuse(send: Send, status: int, reason: str) -> None:
    """Answer with a status and a reason, as JSON."""
    body = json.dumps({"error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 429:
        headers.append((b"retry-after", b"2"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
