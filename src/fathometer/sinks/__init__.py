"""Where do a run's numbers go? JSON lines, and trackers if asked."""

from fathometer.sinks.fan import Fan, Sink, sink_of
from fathometer.sinks.json_lines import JsonLines
from fathometer.sinks.mlflow import MlflowSink
from fathometer.sinks.reading_back import RunRecord, read_run_record
from fathometer.sinks.tensorboard import TensorBoardSink
from fathometer.sinks.wandb import WandbSink

__all__ = ["Fan", "JsonLines", "MlflowSink", "RunRecord", "Sink", "TensorBoardSink", "WandbSink", "read_run_record", "sink_of"]
