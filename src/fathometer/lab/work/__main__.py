"""`python -m fathometer.lab.work`: one order in, events out, the end."""

import contextlib
import json
import os
import sys
import threading
import traceback
from typing import Any

from fathometer import json_text
from fathometer.errors import FathometerError
from fathometer.lab.orders import Order, read_order
from fathometer.memory import ran_out, sizes

TOO_MUCH = "It needs more memory than the lab gives to one piece of work:"
CALM = 5  # as `nice` counts: the server, and the visitor's other programs, come first


def main() -> None:
    """Wait for one order, do it, and tell what comes of it, a line of JSON for each event."""
    out = _own_output()

    def tell(event: dict[str, Any]) -> None:
        out.write(json_text.dump(event, indent=None) + "\n")
        out.flush()

    with contextlib.suppress(OSError, AttributeError):
        os.nice(CALM)
    from fathometer.lab.work.catalogue import WORK  # torch is loaded while nobody waits yet

    line = sys.stdin.readline()
    if not line:
        return
    table = json.loads(line)
    _limit(table["memory_bytes"], table["seconds"])
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    order = read_order(table["order"])
    tell(_done(WORK[order.kind], order, tell))


def _done(work: Any, order: Order, tell: Any) -> dict[str, Any]:
    """Do the work and return its last event."""
    try:
        return {"event": "done", **work(order, tell)}
    except Exception as problem:
        if ran_out(problem):
            told = problem.expected if isinstance(problem, FathometerError) else sizes(problem)
            return {"event": "failed", "message": f"{TOO_MUCH} {told}. Take fewer layers, or narrower ones."}
        if isinstance(problem, FathometerError):
            return {"event": "refused", "given": problem.given, "expected": problem.expected, "mend": problem.mend}
        traceback.print_exc()
    return {"event": "failed", "message": "The lab made a mistake; its terminal says more."}


def _own_output() -> Any:
    """Return standard output for events alone: whatever else is printed goes where errors go."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _limit(memory_bytes: int, seconds: float) -> None:
    """Bound memory and processor time, on systems that can."""
    try:
        import resource
    except ImportError:
        return
    for kind, most in ((resource.RLIMIT_DATA, memory_bytes), (resource.RLIMIT_CPU, int(seconds) + 10)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))


def _end_with_the_server() -> None:
    """End at once when the server is gone: its end of standard input closes with it."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
