"""A run's numbers in MLflow."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fathometer.sinks.tensorboard import missing
from fathometer.sinks.tidy import Pictures, png, scalars

Row = Mapping[str, Any]


class MlflowSink:
    """Logs a few metrics under "watch/", alerts as tags, and at the end one picture for each column as artifact.

    Into the run that is going on, or a new one.
    """

    def __init__(self) -> None:
        self.pictures, self._is_own = Pictures(), False
        self._home: Any = None

    def begin(self, about: Row) -> None:
        """Find or begin a run; raise `TargetError` where MLflow is not installed."""
        try:
            self._home = import_module("mlflow")
        except ImportError:
            raise missing("mlflow-skinny") from None
        if self._home.active_run() is None:
            self._home.start_run()
            self._is_own = True

    def log(self, row: Row, step: int) -> None:
        """Log a measured step."""
        self.pictures.add(row)
        self._home.log_metrics({f"watch/{name}": value for name, value in scalars(row).items()}, step=step)

    def alert(self, row: Row, step: int) -> None:
        """Log an alert as a tag with its step."""
        self._home.set_tag(f"watch/{row['name']}", f"step {step}: {row['sentence']}")

    def end(self, about: Row) -> None:
        """Log the pictures, and end a run that was begun here."""
        with TemporaryDirectory() as folder:
            for name in self.pictures.columns:
                path = Path(folder) / f"{name}.png"
                path.write_bytes(png(self.pictures.pixels(name)))
                self._home.log_artifact(str(path), artifact_path="watch")
        if self._is_own:
            self._home.end_run()
