"""Losses from a device to the host, which never waits for them."""

from collections import deque
from typing import Any

import torch
from torch import Tensor


class Mailbox:
    """Losses that are on their way: what is posted by step comes out in order, on the CPU at once, else when it has arrived."""

    def __init__(self) -> None:
        self._waiting = deque[tuple[int, float | Tensor, Any]]()

    def post(self, step: int, loss: Tensor | float) -> None:
        """Post the loss of a step."""
        if not isinstance(loss, Tensor) or loss.device.type == "cpu":
            self._waiting.append((step, float(loss.detach() if isinstance(loss, Tensor) else loss), None))
            return
        arrived = None
        value = loss.detach().reshape(()).to("cpu", non_blocking=True)  # into pinned memory
        if loss.device.type == "cuda":
            arrived = torch.cuda.Event()
            arrived.record()
        self._waiting.append((step, value, arrived))

    def collect(self, wait: bool = False) -> list[tuple[int, float]]:
        """Return the losses that have arrived, in order; with `wait` all of them."""
        found = []
        while self._waiting:
            step, value, arrived = self._waiting[0]
            if arrived is not None and not arrived.query():
                if not wait:
                    break
                arrived.synchronize()
            found.append((step, float(value)))
            self._waiting.popleft()
        return found
