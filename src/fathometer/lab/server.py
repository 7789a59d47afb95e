"""The lab's server: the page, theory at once, and work in a queue."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from fathometer.errors import FathometerError
from fathometer.lab.answers import theory
from fathometer.lab.claims import claims_table
from fathometer.lab.controls import controls_table
from fathometer.lab.desk import BusyError, Desk, Job
from fathometer.lab.guard import Guard, Rate
from fathometer.lab.lessons import lesson, lessons_table
from fathometer.lab.orders import FULL_SIZE, KINDS, NORMS_AT_FULL_SIZE, read_order
from fathometer.lab.pages import page_file
from fathometer.lab.presets import beginnings_table
from fathometer.lab.setting import read_setting
from fathometer.lab.stream import Streams

VISITOR = re.compile(r"[a-z0-9-]{8,40}")
Handler = Callable[[Request], Awaitable[Response]]


def make_server(hosts: tuple[str, ...], *, desk: Callable[[], Desk] = Desk, rate: Rate | None = None) -> Guard:
    """Return the lab as an ASGI application that answers only to these hosts."""

    @asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncIterator[None]:
        application.state.desk, application.state.streams = desk(), Streams()
        application.state.orders = Rate(4, 12)
        try:
            yield
        finally:
            await application.state.desk.close()

    routes = [
        Route("/api/beginning", beginning),
        Route("/api/theory", _in_words(ask_theory), methods=["POST"]),
        Route("/api/lessons/{name}", _in_words(ask_lesson), methods=["POST"]),
        Route("/api/jobs", _in_words(submit), methods=["POST"]),
        Route("/api/jobs/{id}", job_state, methods=["GET"]),
        Route("/api/jobs/{id}", stop_job, methods=["DELETE"]),
        Route("/api/jobs/{id}/events", job_events),
        Route("/{path:path}", page),
    ]
    application = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _refusal})
    return Guard(application, hosts, rate)


async def page(request: Request) -> Response:
    """Answer with a file of the page."""
    found = page_file(request.path_params["path"])
    if found is None:
        raise HTTPException(404, "There is no such page.")
    if request.headers.get("if-none-match") == found.tag:
        return Response(status_code=304, headers={"etag": found.tag})
    return Response(found.content, media_type=found.kind, headers={"etag": found.tag})


async def beginning(request: Request) -> Response:
    """Answer with all that the page is drawn from; a worker is started that waits for the first work."""
    request.app.state.desk.warm()
    full_size = {"targets": FULL_SIZE, "residuals": NORMS_AT_FULL_SIZE}
    return JSONResponse(
        {
            "controls": controls_table(),
            **beginnings_table(),
            "lessons": lessons_table(),
            "claims": claims_table(),
            "full_size": full_size,
            "kinds": list(KINDS),
        }
    )


async def ask_theory(request: Request) -> Response:
    """Answer with what theory expects of a setting."""
    setting = read_setting(await _table(request))
    return JSONResponse(await run_in_threadpool(theory, setting))


async def ask_lesson(request: Request) -> Response:
    """Answer with the numbers and figures of a lesson, for where its own slider stands."""
    table = await _table(request)
    value = table.get("value") if isinstance(table, dict) else None
    return JSONResponse(await run_in_threadpool(lesson, request.path_params["name"], value))


async def submit(request: Request) -> Response:
    """Take in a piece of work: 202 with its name, or 429 where the line is full."""
    if not request.app.state.orders.allows():
        raise HTTPException(429, "Too many orders: wait a moment.")
    order = read_order(await _table(request))
    visitor = request.headers.get("x-fathometer-visitor", "")
    if not VISITOR.fullmatch(visitor):
        raise HTTPException(400, "A visitor has a name of 8 to 40 letters, digits and hyphens.")
    try:
        job = request.app.state.desk.submit(order, visitor)
    except BusyError:
        raise HTTPException(429, "The line is full: wait until something is done, or stop something.") from None
    return JSONResponse({"id": job.id, "state": job.state}, status_code=202)


async def job_state(request: Request) -> Response:
    """Answer with how a piece of work stands."""
    job = _job(request)
    return JSONResponse({"id": job.id, "state": job.state, "events": len(job.events)})


async def stop_job(request: Request) -> Response:
    """Stop a piece of work."""
    job = _job(request)
    await request.app.state.desk.stop(job)
    return JSONResponse({"id": job.id, "state": job.state})


async def job_events(request: Request) -> Response:
    """Stream what is told of a piece of work, from after the last event that the browser has."""
    job, last = _job(request), request.headers.get("last-event-id", "")
    first = int(last) + 1 if re.fullmatch(r"\d{1,9}", last) else 0
    streams = request.app.state.streams
    if streams.is_full:
        raise HTTPException(429, "Too many streams are open.")
    return StreamingResponse(streams.of(job, first), media_type="text/event-stream")


async def _table(request: Request) -> Any:
    """Return the JSON of a request's body; 400 for anything else, however deep or strange."""
    try:
        return json.loads((await request.body()).decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise HTTPException(400, "The body is not JSON.") from None


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _job(request: Request) -> Job:
    job = request.app.state.desk.jobs.get(request.path_params["id"])
    if job is None:
        raise HTTPException(404, "There is no such work; the lab may have been started anew.")
    return job


def _in_words(handler: Handler) -> Handler:
    """Return a handler that answers a visitor's mistake with 422 and the three parts of the error."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except FathometerError as problem:
            words = {"error": str(problem), "given": problem.given, "expected": problem.expected, "mend": problem.mend}
            return JSONResponse(words, status_code=422)

    return answered


async def _refusal(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    headers = {"retry-after": "2"} if problem.status_code == 429 else None
    return JSONResponse({"error": problem.detail}, status_code=problem.status_code, headers=headers)
