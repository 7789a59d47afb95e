"""The last measured steps in full detail, written when a run goes wrong."""

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from warnings import warn

from fathometer import json_text
from fathometer.diagnosis.watch_alerts import Alert
from fathometer.errors import TargetError
from fathometer.files import write
from fathometer.instruments.recorder_reading import Reading

SCHEMA = "fathometer.flight/1"
KEPT = 20  # measured steps
MOST_FILES = 8  # of one run: a run that spikes for ever fills no disk


class FlightRecorder:
    """Keeps the last measured steps, and writes them as one file beside the record when something happens."""

    def __init__(self, folder: Path | None, kept: int = KEPT) -> None:
        self.folder = folder
        self.readings = deque[Reading](maxlen=kept)
        self.losses = deque[tuple[int, float]](maxlen=50 * kept)
        self.written: list[Path] = []

    def write(self, reason: str, step: int, alerts: Sequence[Alert] = ()) -> Path | None:
        """Write what is kept; return the path, None where there is no folder, no room, or enough was written."""
        if self.folder is None or len(self.written) >= MOST_FILES:
            return None
        table = {
            "schema": SCHEMA,
            "reason": reason,
            "step": step,
            "points": list(self.readings[-1].points) if self.readings else [],
            "alerts": [alert.to_dict() for alert in alerts],
            "losses": [[at, loss] for at, loss in self.losses],
            "readings": [reading.to_row(detail=True) for reading in self.readings],
        }
        try:
            path = write(self.folder / f"flight-{step:08d}.json", json_text.dump(table, indent=None) + "\n")
        except TargetError as problem:  # a full disk is no reason to lose the run
            warn(f"The last steps could not be kept: {problem}", stacklevel=2)
            return None
        self.written.append(path)
        return path
