"""How is it asked from a terminal?"""

from fathometer.cli.main import main

__all__ = ["main"]
