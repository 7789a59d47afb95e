"""Faults done to the lab: its workers, its server, and what it is asked."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from benchmarks.faults.child import Child, Ended, Row, command, is_there, row, start, wait_until, workers_of

VISITOR = {"x-fathometer-visitor": "faults-bench"}
TINY = {"depth": 2, "width": 16, "activation": "relu", "init": "he", "steps": 20}
LONG = {"depth": 60, "width": 128, "activation": "relu", "init": "he", "steps": 2000}


class Lab:
    """A lab that is served, and a client of it."""

    def __init__(self) -> None:
        self.child: Child = start(command("lab", "--port", "0"))
        wait_until(lambda: self._address() is not None or self.child.is_over())
        self.client = httpx.Client(base_url=self._address() or "", timeout=60, headers=VISITOR)

    def _address(self) -> str | None:
        """Return the address that the lab has told, once it is written whole."""
        found = re.search(r"http://\S+(?=\s)", self.child.said.read_text(encoding="utf-8"))
        return None if found is None else found[0]

    def begin(self, setting: dict[str, Any]) -> str:
        """Ask for training, and return the name of that work."""
        return self.client.post("/api/jobs", json={"kind": "train", "setting": setting}).json()["id"]

    def state(self, job: str) -> dict[str, Any]:
        """Return how a piece of work stands."""
        return self.client.get(f"/api/jobs/{job}").json()

    def last(self, job: str) -> dict[str, Any]:
        """Return the last event of a piece of work, once it has ended."""
        text = self.client.get(f"/api/jobs/{job}/events").text
        return json.loads(text.strip().split("data: ")[-1])

    def is_on_its_way(self, job: str) -> bool:
        """Wait until a piece of work has told of steps, and return whether it has."""
        return wait_until(lambda: self.state(job)["events"] > 3)


def _lost_worker() -> Row:
    lab = Lab()
    job = lab.begin(LONG)
    lab.is_on_its_way(job)
    for worker in workers_of(lab.child.pid):
        os.kill(worker, signal.SIGKILL)
    told = lab.last(job)
    following = lab.last(lab.begin(TINY))["event"]
    well = lab.client.post("/api/theory", json=TINY).status_code == 200
    os.kill(lab.child.pid, signal.SIGTERM)
    ended = lab.child.end()
    survived = told["event"] == "failed" and "killed" in told["message"] and following == "done" and well
    promise = "its visitor is told, the server is well, and the next piece of work is done"
    said = Ended(None, told.get("message", ""))
    return row("lab", "a worker lost (kill -9)", promise, said, "that piece of work", survived and ended.code == 143)


def _stopped(fault: str, signals: list[int], code: int, promise: str) -> Row:
    lab = Lab()
    job = lab.begin(LONG)
    on_its_way = lab.is_on_its_way(job)
    workers = workers_of(lab.child.pid)
    for number in signals:
        os.kill(lab.child.pid, number)
        wait_until(lab.child.is_over, 0.05)
    ended = lab.child.end()
    gone = wait_until(lambda: not any(map(is_there, workers)), 10)
    said = Ended(ended.code, ended.message if ended.code != 137 else "")
    return row("lab", fault, promise, said, "the work at hand", on_its_way and bool(workers) and gone and ended.code == code)


def _memory() -> Row:
    """Give a worker, the same process that the server starts, less memory than the work needs."""
    order = {"kind": "preflight", "setting": {**LONG, "depth": 1000, "width": 256}}
    line = json.dumps({"order": order, "memory_bytes": 600 * 2**20, "seconds": 100}) + "\n"
    process = subprocess.Popen(
        [sys.executable, "-m", "fathometer.lab.work"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line)
    process.stdin.flush()
    last = [{"event": "nothing"}, *map(json.loads, process.stdout)][-1]
    code = process.wait()  # its standard input stays open: where that closes, a worker ends at once
    process.stdin.close()
    survived = last["event"] == "failed" and "more memory" in last["message"] and code == 0
    promise = "its visitor is told how much was asked for and free, and what to take less of"
    return row("lab", "out of memory in a worker", promise, Ended(code, last.get("message", str(last))), "that work", survived)


def _not_finite() -> Row:
    lab = Lab()
    asked = [b'{"gain": NaN}', b'{"gain": 1e999}', b'{"learning_rate": -Infinity}']
    headers = {"content-type": "application/json"}
    answers = [lab.client.post("/api/theory", content=body, headers=headers) for body in asked]
    os.kill(lab.child.pid, signal.SIGTERM)
    lab.child.end()
    survived = all(answer.status_code in (400, 422) and "Traceback" not in answer.text for answer in answers)
    said = "; ".join(f"{answer.status_code} {answer.json()['error']}" for answer in answers[:1])
    return row("lab", "NaN and Inf in a request", "refused in words", Ended(None, said), "nothing", survived)


def lab_rows(home: Path) -> list[Row]:
    """Return the rows of faults that the lab is struck by."""
    gone = "the server ends in order, and no worker outlives it"
    return [
        _lost_worker(),
        _stopped("SIGTERM", [signal.SIGTERM], 143, gone),
        _stopped("SIGINT twice", [signal.SIGINT, signal.SIGINT], 130, gone),
        _stopped("kill -9", [signal.SIGKILL], 137, "no worker outlives its server"),
        _memory(),
        _not_finite(),
    ]
