"""One worker in a process of its own, with limits, that can be killed."""

import asyncio
import contextlib
import json
import os
import sys
from typing import Any

from fathometer import json_text
from fathometer.lab.orders import Order, Tell

LONGEST_LINE = 4 * 2**20  # bytes of one event


class Runner:
    """A worker: starts at once, waits for one order, tells what comes of it, and ends."""

    def __init__(self) -> None:
        self.start = asyncio.get_running_loop().create_task(_spawn())
        self.process: asyncio.subprocess.Process | None = None

    async def work(self, order: Order, tell: Tell) -> None:
        """Hand the order over and tell every event, to the last: the worker's own, or why there is none."""
        self.process = process = await self.start
        assert process.stdin is not None
        try:
            async with asyncio.timeout(order.limits.seconds):
                line = {"order": order.to_dict(), "memory_bytes": order.limits.memory_bytes, "seconds": order.limits.seconds}
                with contextlib.suppress(ConnectionError):
                    process.stdin.write(json.dumps(line).encode() + b"\n")
                    await process.stdin.drain()
                await _listen(process, tell)
                code = await process.wait()
        except TimeoutError:
            await self.kill()
            tell({"event": "failed", "message": f"It took longer than {order.limits.seconds:.0f} seconds, and was stopped."})
        except ValueError:  # a line beyond all measure
            tell({"event": "failed", "message": "The worker said more than can be read."})
        else:
            tell({"event": "failed", "message": _ending(code)})

    async def kill(self) -> None:
        """End the worker, however far it is."""
        process = self.process
        if process is None:
            with contextlib.suppress(OSError):
                process = self.process = await self.start
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _spawn() -> asyncio.subprocess.Process:
    """Start the process; it ends by itself when its standard input does, so that none outlives its server."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fathometer.lab.work",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        limit=LONGEST_LINE,
        start_new_session=True,  # Ctrl-C is the server's to handle
    )


async def _listen(process: asyncio.subprocess.Process, tell: Tell) -> None:
    assert process.stdout is not None
    while line := await process.stdout.readline():
        try:
            event = json_text.load(line.decode())
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            tell(_without_infinities(event))


def _without_infinities(value: Any) -> Any:
    """Return what a browser's JSON can hold: null for what is not finite."""
    if isinstance(value, dict):
        return {key: _without_infinities(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_infinities(item) for item in value]
    return None if isinstance(value, float) and (value != value or abs(value) == float("inf")) else value


def _ending(code: int) -> str:
    if code == 0:
        return "The work ended without a result."
    if code < 0:
        return f"The worker was killed by signal {-code}: by hand, or because the machine ran out of memory."
    return f"The worker ended with code {code}; the lab's terminal says more."
