"""What a sink is, and one that hands everything on to several."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from warnings import warn

from fathometer.errors import TargetError, kind_of
from fathometer.sinks.json_lines import JsonLines

Row = Mapping[str, Any]


@runtime_checkable
class Sink(Protocol):
    """Where a run's numbers go: `begin` once, `log` for each measured step, `alert` for each alert, `end` once.

    A row of `log` holds "step", "loss", "losses" (of the steps since the row before), "columns" (by depth point) and "facts".
    That of `end` holds "how", and of a watch "step" and the "losses" since the last row.
    """

    def begin(self, about: Row) -> None: ...

    def log(self, row: Row, step: int) -> None: ...

    def alert(self, row: Row, step: int) -> None: ...

    def end(self, about: Row) -> None: ...


class Fan:
    """Hands everything on to several sinks; one that fails once the run has begun ends with a warning, and the run goes on."""

    def __init__(self, sinks: Iterable[Sink]) -> None:
        self.sinks = list(sinks)

    def begin(self, about: Row) -> None:
        """Say what the run is; a sink that cannot begin raises, for nothing is lost yet, and those before it are ended."""
        with ExitStack() as begun:
            for sink in self.sinks:
                sink.begin(about)
                begun.callback(_end, sink, "another record could not begin")
            begun.pop_all()

    def log(self, row: Row, step: int) -> None:
        """Hand on a measured step."""
        self._hand_on(lambda sink: sink.log(row, step))

    def alert(self, row: Row, step: int) -> None:
        """Hand on an alert."""
        self._hand_on(lambda sink: sink.alert(row, step))

    def end(self, about: Row) -> None:
        """Say how the run ended."""
        self._hand_on(lambda sink: sink.end(about))

    def _hand_on(self, give: Callable[[Sink], None]) -> None:
        for sink in tuple(self.sinks):
            try:
                give(sink)
            except Exception as problem:  # a full disk, a tracker that is gone: no reason to lose a run
                self.sinks.remove(sink)
                _end(sink, "the record failed")
                what = f"The record in {type(sink).__name__} ends here, and the run goes on: {type(problem).__name__}: {problem}"
                warn(what, stacklevel=4)


def _end(sink: Sink, how: str) -> None:
    """End a sink that may be broken, for it may hold a file or a connection."""
    with suppress(Exception):
        sink.end({"how": how})


def sink_of(record: Any) -> tuple[Fan, Path | None]:
    """Return the sinks that a folder, a sink, or several of these stand for, and the folder of the first JSON lines."""
    listed = [] if record is None else list(record) if isinstance(record, list | tuple) else [record]
    sinks = [JsonLines(one) if isinstance(one, str | Path) else one for one in listed]
    for sink in sinks:
        if not isinstance(sink, Sink):
            raise TargetError(
                f"`record` holds {kind_of(sink)}",
                "A record is kept in a folder, or in a sink with begin, log, alert and end",
                'Try record="run", or record=["run", TensorBoardSink("run")]',
            )
    folder = next((sink.folder for sink in sinks if isinstance(sink, JsonLines)), None)
    return Fan(sinks), folder
