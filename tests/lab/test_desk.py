"""The queue of work: honest, fair, and well after any end."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from fathometer.lab import desk as desk_module
from fathometer.lab.desk import MOST_EVENTS, MOST_OF_ONE, MOST_WAITING, BusyError, Desk, Job
from fathometer.lab.orders import Order, read_order
from fathometer.lab.stream import Streams


class Puppet:
    """A worker that does what its test says: `end` lets it finish."""

    made: list["Puppet"]

    def __init__(self) -> None:
        self.end, self.is_killed = asyncio.Event(), False
        self.order: Order | None = None
        type(self).made.append(self)

    async def work(self, order: Order, tell: Callable[[dict[str, Any]], None]) -> None:
        """Wait for the test, and tell that it is done."""
        self.order = order
        await self.end.wait()
        tell({"event": "failed", "message": "killed"} if self.is_killed else {"event": "done"})

    async def kill(self) -> None:
        """End at once."""
        self.is_killed = True
        self.end.set()


@pytest.fixture
def puppets(monkeypatch: pytest.MonkeyPatch) -> list[Puppet]:
    """Return the workers that a desk starts, as puppets."""
    Puppet.made = []
    monkeypatch.setattr(desk_module, "Runner", Puppet)
    return Puppet.made


def at_a_desk(scene: Callable[[Desk], Coroutine[Any, Any, None]], at_once: int = 1) -> None:
    """Play a scene at a desk, and close it."""

    async def play() -> None:
        desk = Desk(at_once)
        try:
            await scene(desk)
        finally:
            await desk.close()

    asyncio.run(play())


async def settle() -> None:
    """Let everything happen that can."""
    for _ in range(20):
        await asyncio.sleep(0)


ORDER = read_order({"kind": "preflight"})


def test_visitors_take_turns(puppets: list[Puppet]) -> None:
    """One who asked for four pieces of work at once does not keep the others waiting behind all of them."""

    async def scene(desk: Desk) -> None:
        jobs = [desk.submit(ORDER, "greedy") for _ in range(4)] + [desk.submit(ORDER, "second"), desk.submit(ORDER, "third")]
        served = []
        for _ in jobs:
            await settle()
            (job,) = desk.running()
            served.append(job.visitor)
            job.runner.end.set()
        assert served == ["greedy", "second", "third", "greedy", "greedy", "greedy"]
        await settle()
        assert {job.state for job in jobs} == {"done"}

    at_a_desk(scene)


def test_places_in_line_are_told(puppets: list[Puppet]) -> None:
    """Who waits is told the place, and the new one as the line moves."""

    async def scene(desk: Desk) -> None:
        first, second, third = (desk.submit(ORDER, name) for name in ("a", "b", "c"))
        await settle()
        assert [event["place"] for event in third.events] == [2]
        first.runner.end.set()
        await settle()
        assert [event["place"] for event in third.events] == [2, 1]
        assert second.state == "running"

    at_a_desk(scene)


def test_a_full_line_says_so(puppets: list[Puppet]) -> None:
    """Beyond what one visitor, or all together, may have in line nothing is taken in; the line itself is kept."""

    async def scene(desk: Desk) -> None:
        desk.submit(ORDER, "a")  # which runs
        await settle()
        for _ in range(MOST_OF_ONE):
            desk.submit(ORDER, "a")
        with pytest.raises(BusyError):
            desk.submit(ORDER, "a")
        for name in "bcde"[: MOST_WAITING - MOST_OF_ONE]:
            desk.submit(ORDER, name)
        with pytest.raises(BusyError):
            desk.submit(ORDER, "z")
        assert len(desk.waiting()) == MOST_WAITING

    at_a_desk(scene)


def test_stopping_frees_the_place(puppets: list[Puppet]) -> None:
    """Stopped work is killed and stays stopped, whether it ran or waited, and the next one starts."""

    async def scene(desk: Desk) -> None:
        running, waiting, last = (desk.submit(ORDER, name) for name in ("a", "b", "c"))
        await settle()
        await desk.stop(waiting)
        await desk.stop(running)
        await settle()
        assert [job.state for job in (running, waiting, last)] == ["stopped", "stopped", "running"]
        assert running.events[-1] == {"event": "stopped"}
        assert running.runner.is_killed

    at_a_desk(scene)


def test_what_is_stopped_at_once_never_starts(puppets: list[Puppet]) -> None:
    """Work that is stopped before its worker has begun does not run all the same."""

    async def scene(desk: Desk) -> None:
        first, second = desk.submit(ORDER, "a"), desk.submit(ORDER, "b")
        await desk.stop(first)
        await settle()
        assert (first.state, second.state) == ("stopped", "running")
        assert [puppet.order is second.order for puppet in puppets] == [True]

    at_a_desk(scene)


def test_as_many_run_as_may(puppets: list[Puppet]) -> None:
    """With two places, two run and the third waits."""

    async def scene(desk: Desk) -> None:
        for name in ("a", "b", "c"):
            desk.submit(ORDER, name)
        await settle()
        assert (len(desk.running()), len(desk.waiting())) == (2, 1)

    at_a_desk(scene, at_once=2)


def test_closing_leaves_nothing_behind(puppets: list[Puppet]) -> None:
    """When the desk closes, every worker is killed, the spare one too, and every visitor is told."""
    jobs = list[Job]()

    async def scene(desk: Desk) -> None:
        desk.warm()
        jobs.extend(desk.submit(ORDER, name) for name in ("a", "b"))
        await settle()
        desk.warm()

    at_a_desk(scene)

    assert {job.state for job in jobs} == {"stopped"}
    assert len(puppets) == 2
    assert all(puppet.is_killed for puppet in puppets)


def test_a_flood_of_events_is_cut_but_not_its_end() -> None:
    """A worker that tells far too much is not remembered in full, its end always is, and nothing comes after it."""
    job = Job(ORDER, "a")
    for number in range(MOST_EVENTS + 10):
        job.tell({"event": "steps", "number": number})
    job.tell({"event": "done"})
    job.tell({"event": "failed"})

    assert len(job.events) == MOST_EVENTS + 1
    assert (job.events[-1], job.state) == ({"event": "done"}, "done")


def test_a_stream_goes_on_where_it_was_left() -> None:
    """Who comes back with the number of the last event gets those after it, each once, and is counted while listening."""

    async def scene() -> list[bytes]:
        job, streams = Job(ORDER, "a"), Streams()
        for number in range(3):
            job.tell({"event": "steps", "number": number})
        stream = streams.of(job, 2)
        found = [await anext(stream), await anext(stream)]
        assert streams.open == 1
        job.tell({"event": "done"})
        found += [part async for part in stream]
        assert streams.open == 0
        return found

    parts = asyncio.run(scene())

    assert parts[0].startswith(b"retry")
    assert [part.split(b"\n")[0] for part in parts[1:]] == [b"id: 2", b"id: 3"]
