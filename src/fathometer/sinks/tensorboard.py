"""A run's numbers as TensorBoard events."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from time import time
from typing import Any

from fathometer.errors import TargetError
from fathometer.sinks.tidy import Pictures, png, scalars

Row = Mapping[str, Any]
EVERY = 25  # measured steps between two drawings of the pictures


class TensorBoardSink:
    """Writes a few series under "watch/", one picture for each column, and alerts as text, to a folder of events."""

    def __init__(self, folder: str | Path) -> None:
        self.folder, self.pictures, self._count = Path(folder), Pictures(), 0
        self._writer: Any = None
        self._protos: Any = None
        self._step = 0

    def begin(self, about: Row) -> None:
        """Open the events; raise `TargetError` where TensorBoard is not installed."""
        try:
            writer = import_module("tensorboard.summary.writer.event_file_writer")
            self._protos = (
                import_module("tensorboard.compat.proto.event_pb2"),
                import_module("tensorboard.compat.proto.summary_pb2"),
            )
        except ImportError:
            raise missing("tensorboard") from None
        self._writer = writer.EventFileWriter(str(self.folder))

    def log(self, row: Row, step: int) -> None:
        """Write a measured step."""
        self._step = step
        _, summary = self._protos
        values = [summary.Summary.Value(tag=f"watch/{name}", simple_value=value) for name, value in scalars(row).items()]
        self._add(summary.Summary(value=values), step)
        self.pictures.add(row)
        self._count += 1
        if self._count % EVERY == 0:
            self._draw(step)

    def alert(self, row: Row, step: int) -> None:
        """Write an alert as text."""
        plugin = self._protos[1].SummaryMetadata.PluginData(plugin_name="text")
        tensors = import_module("tensorboard.compat.proto.tensor_pb2")
        shapes = import_module("tensorboard.compat.proto.tensor_shape_pb2")
        shape = shapes.TensorShapeProto(dim=[shapes.TensorShapeProto.Dim(size=1)])
        text = tensors.TensorProto(dtype="DT_STRING", string_val=[row["sentence"].encode()], tensor_shape=shape)
        metadata = self._protos[1].SummaryMetadata(plugin_data=plugin)
        value = self._protos[1].Summary.Value(tag=f"watch/{row['name']}", metadata=metadata, tensor=text)
        self._add(self._protos[1].Summary(value=[value]), step)

    def end(self, about: Row) -> None:
        """Draw the pictures once more, and close the events."""
        self._draw(self._step)
        self._writer.close()

    def _draw(self, step: int) -> None:
        for name in self.pictures.columns:
            pixels = self.pictures.pixels(name)
            image = self._protos[1].Summary.Image(
                height=pixels.shape[0], width=pixels.shape[1], colorspace=3, encoded_image_string=png(pixels)
            )
            self._add(self._protos[1].Summary(value=[self._protos[1].Summary.Value(tag=f"watch/{name}", image=image)]), step)

    def _add(self, summary: Any, step: int) -> None:
        self._writer.add_event(self._protos[0].Event(wall_time=time(), step=step, summary=summary))


def missing(package: str) -> TargetError:
    """Return the error for a tracker that is not installed."""
    return TargetError(f"{package} is not installed", "This sink writes with it", "Run: pip install 'fathometer[track]'")
