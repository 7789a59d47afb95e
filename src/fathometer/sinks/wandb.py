"""A run's numbers in Weights & Biases, or in what follows its interface."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from fathometer.sinks.tensorboard import EVERY, missing
from fathometer.sinks.tidy import Pictures, scalars

Row = Mapping[str, Any]


class WandbSink:
    """Logs a few series under "watch/", one picture for each column, and alerts.

    Into `run`, or the run that is going on, or a new one of `project`. `module="trackio"` logs there, by the same interface.
    """

    def __init__(self, run: Any = None, *, project: str = "fathometer", module: str = "wandb") -> None:
        self.run, self.project, self.module = run, project, module
        self.pictures, self._count, self._is_own, self._step = Pictures(), 0, False, 0
        self._home: Any = None

    def begin(self, about: Row) -> None:
        """Find or begin a run; raise `TargetError` where the tracker is not installed."""
        try:
            self._home = import_module(self.module)
        except ImportError:
            raise missing(self.module) from None
        if self.run is None:
            self.run = getattr(self._home, "run", None)
        if self.run is None:
            self.run, self._is_own = self._home.init(project=self.project, config=dict(about)), True

    def log(self, row: Row, step: int) -> None:
        """Log a measured step."""
        self._step = step
        self.pictures.add(row)
        self._count += 1
        images = self._images() if self._count % EVERY == 0 else {}
        self.run.log({f"watch/{name}": value for name, value in scalars(row).items()} | images, step=step)

    def alert(self, row: Row, step: int) -> None:
        """Log an alert; a tracker without alerts gets it as a number 1 under its name."""
        if hasattr(self.run, "alert"):
            self.run.alert(title=row["name"], text=row["sentence"])
        self.run.log({f"watch/alerts/{row['name']}": 1}, step=max(step, self._step))  # steps that fall are dropped there

    def end(self, about: Row) -> None:
        """Log the pictures once more, and finish a run that was begun here."""
        images = self._images()
        if images:
            self.run.log(images, step=self._step)
        if self._is_own:
            self.run.finish()

    def _images(self) -> dict[str, Any]:
        return {f"watch/{name}": self._home.Image(self.pictures.pixels(name)) for name in self.pictures.columns}
