"""`fathometer lab`: turn depth from 1 to 1,000, break it, mend it."""


def lab(port: int = 8642, open: bool = False) -> int:
    """Open the lab: one page on this machine alone, where a slider turns depth and theory answers at once.

    Break a network, mend it, train several side by side, look inside, and preflight 175 billion parameters. Nothing
    leaves the machine: the page is served on 127.0.0.1, to this machine's browsers only.

    Args:
        port: The port to serve on; 0 takes any that is free.
        open: Open the page in the browser.
    """
    from fathometer.lab import serve

    serve(port, open_browser=open, say=lambda text: print(text, flush=True))
    return 0
