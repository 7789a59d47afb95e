"""The queue of work: few at once, fair to all, and each can be stopped."""

import asyncio
import os
from collections import OrderedDict
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

from fathometer.lab.orders import Order
from fathometer.lab.runner import Runner

MOST_WAITING, MOST_OF_ONE = 8, 4  # pieces of work that wait, of all visitors and of one
MOST_KEPT = 48  # pieces of work whose events are kept for those who come back
MOST_EVENTS = 6000  # of one piece of work
ENDS = ("done", "refused", "failed", "stopped")


class BusyError(Exception):
    """The queue is full: try again later."""


@dataclass(eq=False)
class Job:
    """One piece of work with all that was told of it; `state` is "waiting", "running" or one of `ENDS`."""

    order: Order
    visitor: str
    id: str = field(default_factory=lambda: token_hex(8))
    state: str = "waiting"
    events: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    runner: Runner | None = None

    def tell(self, event: dict[str, Any]) -> None:
        """Add an event and wake those who listen; what comes after the end, or far too much, is dropped."""
        is_end = event["event"] in ENDS
        if self.state in ENDS or (len(self.events) >= MOST_EVENTS and not is_end):
            return
        self.events.append(event)
        if is_end:
            self.state = event["event"]
        self.news.set()
        self.news = asyncio.Event()

    def since(self, first: int) -> tuple[list[dict[str, Any]], bool]:
        """Return the events from number `first` on, and whether these are the last ones."""
        return self.events[first:], self.state in ENDS


class Desk:
    """All pieces of work of one server: at most `at_once` run, the rest wait in line."""

    def __init__(self, at_once: int | None = None) -> None:
        self.at_once = at_once or max(1, (os.cpu_count() or 1) // 2)
        self.jobs: OrderedDict[str, Job] = OrderedDict()
        self.served: dict[str, int] = {}  # by visitor: the number of the turn that was given last
        self.turns = 0
        self.spare: Runner | None = None
        self.is_open = True
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, order: Order, visitor: str) -> Job:
        """Take in a piece of work; raise `BusyError` where the line, or this visitor's part of it, is full."""
        waiting = self.waiting()
        if len(waiting) >= MOST_WAITING or len([job for job in waiting if job.visitor == visitor]) >= MOST_OF_ONE:
            raise BusyError
        job = Job(order, visitor)
        self.jobs[job.id] = job
        while len(self.jobs) > MOST_KEPT and (old := self._oldest_ended()) is not None:
            del self.jobs[old]
        self._advance()
        self._tell_places()
        return job

    def waiting(self) -> list[Job]:
        """Return the work in line, the next one first: who was served longest ago comes before who was served just now."""
        line = [job for job in self.jobs.values() if job.state == "waiting"]
        ahead: dict[str, int] = {}
        rank = dict[str, tuple[int, int]]()
        for job in line:
            ahead[job.visitor] = ahead.get(job.visitor, -1) + 1
            rank[job.id] = (ahead[job.visitor], self.served.get(job.visitor, 0))
        return sorted(line, key=lambda job: rank[job.id])

    def running(self) -> list[Job]:
        """Return the work that runs."""
        return [job for job in self.jobs.values() if job.state == "running"]

    async def stop(self, job: Job) -> None:
        """Stop a piece of work wherever it stands."""
        job.tell({"event": "stopped"})
        if job.runner is not None:
            await job.runner.kill()
        self._tell_places()

    def warm(self) -> None:
        """Start a worker that waits for work, so that the next piece need not wait for torch."""
        if self.spare is None and self.is_open:
            self.spare = Runner()

    async def close(self) -> None:
        """Stop everything, and take nothing in any more."""
        self.is_open = False
        for job in [*self.waiting(), *self.running()]:
            await self.stop(job)
        if self.spare is not None:
            await self.spare.kill()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _advance(self) -> None:
        """Give free places to those who are next."""
        while self.is_open and len(self.running()) < self.at_once and (line := self.waiting()):
            job = line[0]
            self.turns += 1
            self.served[job.visitor] = self.turns
            job.state = "running"
            task = asyncio.get_running_loop().create_task(self._run(job))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, job: Job) -> None:
        if job.state == "running":  # it may have been stopped since its turn came
            await self._work(job)
        self._advance()
        self._tell_places()
        self.warm()

    async def _work(self, job: Job) -> None:
        job.tell({"event": "started"})
        job.runner, self.spare = self.spare or Runner(), None
        try:
            await job.runner.work(job.order, job.tell)
        finally:
            job.tell({"event": "failed", "message": "The work ended without a result."})  # dropped where it had one
            await job.runner.kill()

    def _tell_places(self) -> None:
        for place, job in enumerate(self.waiting(), 1):
            if not job.events or job.events[-1].get("place") != place:
                job.tell({"event": "waiting", "place": place, "running": len(self.running())})

    def _oldest_ended(self) -> str | None:
        return next((name for name, job in self.jobs.items() if job.state in ENDS), None)
