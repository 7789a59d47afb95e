"""What comes of one network, trained as a run asks?"""

from fathometer.runs.coordinate_check import CoordinateCheck, coordinate_check
from fathometer.runs.executors import local_pool
from fathometer.runs.many import RunsError, many
from fathometer.runs.module_check import check_module
from fathometer.runs.run import Trained, train
from fathometer.runs.run_file import RunFile, read_run, train_file
from fathometer.runs.transfer import Transfer, transfer

__all__ = [
    "CoordinateCheck",
    "RunFile",
    "RunsError",
    "Trained",
    "Transfer",
    "check_module",
    "coordinate_check",
    "local_pool",
    "many",
    "read_run",
    "train",
    "train_file",
    "transfer",
]
