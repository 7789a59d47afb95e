"""The kinds of work by name: one function, one line here."""

from collections.abc import Callable
from typing import Any

import torch

from fathometer.lab.orders import Kind, Order, Tell
from fathometer.lab.work.full_size import work_full_size
from fathometer.lab.work.judge import work_mend, work_preflight
from fathometer.lab.work.look import work_look
from fathometer.lab.work.teach import work_train

torch.set_num_threads(1)  # two can be many times slower for small networks

WORK: dict[Kind, Callable[[Order, Tell], dict[str, Any]]] = {
    "preflight": work_preflight,
    "mend": work_mend,
    "train": work_train,
    "look": work_look,
    "full-size": work_full_size,
}
