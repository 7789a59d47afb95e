"""Events as they come, for a browser that listens (server-sent events)."""

import asyncio
import json
from collections.abc import AsyncIterator

from fathometer.lab.desk import Job

MOST_STREAMS = 48
STILL_HERE = 15.0  # seconds of silence after which the stream says that it lives
RETRY = b"retry: 1000\n\n"  # milliseconds after which a browser that lost the stream comes back


class Streams:
    """The open streams of a server, which are counted."""

    def __init__(self) -> None:
        self.open = 0

    @property
    def is_full(self) -> bool:
        """Return whether no further stream may open."""
        return self.open >= MOST_STREAMS

    async def of(self, job: Job, first: int) -> AsyncIterator[bytes]:
        """Yield the events of a piece of work from number `first` on, to its end."""
        self.open += 1
        place = first
        try:
            yield RETRY
            while True:
                news, (there, is_over) = job.news, job.since(place)
                for event in there:
                    yield f"id: {place}\ndata: {json.dumps(event)}\n\n".encode()
                    place += 1
                if is_over:
                    return
                try:
                    await asyncio.wait_for(news.wait(), STILL_HERE)
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self.open -= 1
