"""The lab from outside: pages, work in processes of their own, and their ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from fathometer.lab.desk import Desk
from fathometer.lab.guard import Rate
from fathometer.lab.pages import page_file

TINY = {"depth": 2, "width": 16, "activation": "relu", "init": "he", "steps": 20}
LONG = {"depth": 60, "width": 128, "activation": "relu", "init": "he", "steps": 2000}


def submit(lab: TestClient, **order: Any) -> str:
    """Ask for work and return its name."""
    answer = lab.post("/api/jobs", json=order)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def events(lab: TestClient, job: str, after: int | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Return all events of a piece of work with their numbers, as a browser gets them."""
    headers = {} if after is None else {"last-event-id": str(after)}
    text = lab.get(f"/api/jobs/{job}/events", headers=headers).text
    for part in text.split("\n\n"):
        if part.startswith("id: "):
            number, data = part.split("\n")
            yield int(number.removeprefix("id: ")), json.loads(data.removeprefix("data: "))


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.05)


def test_the_first_page_is_small(lab: TestClient) -> None:
    """All that the first page loads, with the answer that it is drawn from, is far under 1.5 MB."""
    page = lab.get("/")
    names = [
        "inks.css",
        "lab.css",
        "panels.css",
        "main.js",
        "api.js",
        "controls.js",
        "dom.js",
        "heat.js",
        "lessons.js",
        "plot.js",
        "results.js",
        "runs.js",
        "sounding.js",
    ]
    size = len(page.content) + sum(len(lab.get(f"/{name}").content) for name in names) + len(lab.get("/api/beginning").content)

    assert page.headers["content-type"].startswith("text/html")
    assert size < 200_000
    assert page_file("setting.py") is None


def test_a_page_that_has_not_changed_is_not_sent_again(lab: TestClient) -> None:
    """A browser that has a file already is told so in a line."""
    tag = lab.get("/main.js").headers["etag"]

    again = lab.get("/main.js", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")


def test_work_is_done_in_another_process_and_can_be_heard_again(lab: TestClient) -> None:
    """A run is told to its end; who comes back later with the last number hears the rest, and no event twice."""
    job = submit(lab, kind="train", setting=TINY)
    heard = list(events(lab, job))

    assert [number for number, _ in heard] == list(range(len(heard)))
    assert heard[0][1]["event"] == "started"
    assert heard[-1][1]["event"] == "done"
    assert heard[-1][1]["steps"] == 20
    assert list(events(lab, job, after=len(heard) - 3)) == heard[-2:]
    assert lab.get(f"/api/jobs/{job}").json()["state"] == "done"


@pytest.mark.slow
def test_a_killed_worker_is_an_error_and_the_server_stays_well(lab: TestClient) -> None:
    """When a run's process is killed from outside, its visitor is told so, and the next piece of work is done."""
    desk: Desk = lab.app.application.state.desk
    job = submit(lab, kind="train", setting=LONG)
    following = submit(lab, kind="preflight", setting=TINY)
    wait_until(lambda: len(desk.jobs[job].events) > 3)
    os.kill(desk.jobs[job].runner.process.pid, signal.SIGKILL)
    last = list(events(lab, job))[-1][1]

    assert last["event"] == "failed"
    assert "killed" in last["message"]
    assert list(events(lab, following))[-1][1]["event"] == "done"
    assert lab.post("/api/theory", json=TINY).status_code == 200


@pytest.mark.slow
def test_work_can_be_stopped(lab: TestClient) -> None:
    """A visitor who stops a run is told so, and its process is gone."""
    desk: Desk = lab.app.application.state.desk
    job = submit(lab, kind="train", setting=LONG)
    wait_until(lambda: len(desk.jobs[job].events) > 3)
    process = desk.jobs[job].runner.process

    assert lab.delete(f"/api/jobs/{job}").json()["state"] == "stopped"
    assert list(events(lab, job))[-1][1] == {"event": "stopped"}
    assert process.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_a_full_line_is_429(make_lab: Callable[..., TestClient]) -> None:
    """Beyond what one may have in line the answer is 429 and says what to do; what waits is told its place."""
    lab = make_lab(rate=Rate(1e6, 1e6), desk=lambda: Desk(at_once=1))
    jobs = [submit(lab, kind="train", setting=LONG) for _ in range(5)]
    refused = lab.post("/api/jobs", json={"kind": "train", "setting": LONG})

    assert refused.status_code == 429
    assert "line is full" in refused.json()["error"]
    for job in reversed(jobs):
        lab.delete(f"/api/jobs/{job}")
    places = [event.get("place") for _, event in events(lab, jobs[4]) if event["event"] == "waiting"]
    assert places[0] == 4


def test_work_that_there_is_not_is_404(lab: TestClient) -> None:
    """A name that no work has gets 404 wherever it is asked for; a visitor without a name gets 400."""
    assert lab.get("/api/jobs/none/events").status_code == 404
    assert lab.delete("/api/jobs/none").status_code == 404
    assert lab.post("/api/jobs", json={"kind": "preflight"}, headers={"x-fathometer-visitor": "?"}).status_code == 400


SERVE = [sys.executable, "-m", "fathometer", "lab", "--port", "0"]


@pytest.fixture
def serve() -> Iterator[Callable[[], tuple[subprocess.Popen[str], str]]]:
    """Return a function that starts the real command and returns its process and address."""
    started = []

    def start() -> tuple[subprocess.Popen[str], str]:
        listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell has its background jobs ignore it
        process = subprocess.Popen(SERVE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen)
        started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().split()[2]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_the_command_serves_and_ctrl_c_ends_it_clean(serve: Callable[[], tuple[subprocess.Popen[str], str]]) -> None:
    """The lab answers theory without torch, and Ctrl-C ends it in one line, with its workers gone too."""
    process, address = serve()
    with httpx.Client(base_url=address, timeout=30) as client:
        assert client.get("/api/beginning").status_code == 200
        assert "fades" in client.post("/api/theory", json={}).json()["words"]
        maps = Path(f"/proc/{process.pid}/maps")
        assert not maps.exists() or "libtorch" not in maps.read_text()
        job = client.post(
            "/api/jobs", json={"kind": "train", "setting": LONG}, headers={"x-fathometer-visitor": "visitor-1"}
        ).json()["id"]
        wait_until(lambda: client.get(f"/api/jobs/{job}").json()["events"] > 3)
        workers = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    process.send_signal(signal.SIGINT)
    out, problems = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Traceback" not in out + problems
    assert workers
    for worker in workers:
        wait_until(lambda worker=worker: not os.path.exists(f"/proc/{worker}"), seconds=10)


@pytest.mark.slow
def test_a_port_that_is_taken_is_said_in_words(serve: Callable[[], tuple[subprocess.Popen[str], str]]) -> None:
    """A second lab on the same port ends with code 2, and says how to take another."""
    _, address = serve()
    line = [*SERVE[:-1], address.rpartition(":")[2]]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)

    assert done.returncode == 2
    assert "--port 0" in done.stderr
    assert "Traceback" not in done.stderr
