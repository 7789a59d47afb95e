"""The lab on a port of this machine, until Ctrl-C."""

import socket
import webbrowser
from collections.abc import Callable

from fathometer.errors import TargetError

HOST = "127.0.0.1"
SECONDS_TO_CLOSE = 2


def serve(port: int = 8642, *, open_browser: bool = False, say: Callable[[str], object] = print) -> None:
    """Serve the lab on 127.0.0.1 until Ctrl-C; port 0 takes any that is free.

    Raises `TargetError` where the port is taken. `say` is told the address once the lab answers there.
    """
    import uvicorn

    from fathometer.lab.server import make_server

    with _listening(port) as door:
        port = door.getsockname()[1]
        address = f"http://{HOST}:{port}"
        application = make_server((f"{HOST}:{port}", f"localhost:{port}"))
        config = uvicorn.Config(
            application,
            log_level="error",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=SECONDS_TO_CLOSE,
            h11_max_incomplete_event_size=32 * 1024,
        )
        say(f"The lab: {address} (Ctrl-C ends it)")
        if open_browser:
            webbrowser.open(address)
        uvicorn.Server(config).run(sockets=[door])


def _listening(port: int) -> socket.socket:
    # The protocol is named: asyncio sends at once (TCP_NODELAY) only then, and an answer is 40 ms faster.
    door = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((HOST, port))
        door.listen(128)  # a browser that comes before the server runs waits a moment, and is answered
    except (OSError, OverflowError) as problem:
        door.close()
        given = f"Port {port} cannot be used: {getattr(problem, 'strerror', None) or problem}"
        raise TargetError(given, "The lab needs a port of its own", "Try --port 0, which takes any that is free") from None
    return door
