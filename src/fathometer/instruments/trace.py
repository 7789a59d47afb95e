"""What ran, in which order, and what was handed from one to the next."""

from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from fathometer.contract import tensors_in
from fathometer.instruments.recurrent import step_by_step
from fathometer.instruments.taps import Call, listen

FEW = 16  # storages that are kept in mind before those that are gone are looked for
Marks = frozenset[int]  # numbers for tensors; two that share memory, and were not written to in between, have the same one


class Step(NamedTuple):
    """One call of one module, as it ended: its name, how often it ran before, what went in and out, whether it is a chain.

    A chain hands what it is given through its parts, one after the other, and adds nothing of its own: it is a container,
    while a module that makes something new of its parts, as a residual block does, is more than they are. What is not
    known is None.
    """

    name: str
    index: int
    given: Marks | None = None
    gave: Marks | None = None
    is_chain: bool | None = None


def trace_of(model: nn.Module, run: Callable[[], Any]) -> list[Step]:
    """Return the trace of one run of a model without gradients; time steps of recurrent layers are in it."""
    recorder = Recorder()
    with (
        torch.no_grad(),
        listen(model, on_enter=recorder.enter, on_call=recorder.leave),
        step_by_step(model, on_enter=recorder.enter, on_call=recorder.leave),
    ):
        run()
    return recorder.trace


class Recorder:
    """Writes a trace from what `listen` and `step_by_step` tell; it keeps no tensor."""

    def __init__(self) -> None:
        self.trace: list[Step] = []
        self._open: list[tuple[str, Marks, list[tuple[Marks, Marks]]]] = []  # name, what went in, (in, out) of each part
        self._known: dict[int, tuple[StorageWeakRef, int, int]] = {}
        self._numbers = count()
        self._sweep_at = FEW

    def enter(self, name: str, inputs: Any) -> None:
        """Open a call."""
        self._open.append((name, self._marks(inputs), []))

    def leave(self, call: Call) -> None:
        """Close a call and write it down."""
        if not any(name == call.name for name, _, _ in self._open):
            self.trace.append(Step(call.name, call.index))
            return
        while self._open[-1][0] != call.name:  # a part that failed and was caught
            self._open.pop()
        _, given, parts = self._open.pop()
        gave = self._marks(call.output)
        self.trace.append(Step(call.name, call.index, given, gave, _is_chain(given, parts, gave)))
        if self._open:
            self._open[-1][2].append((given, gave))

    def _marks(self, value: Any) -> Marks:
        return frozenset(self._mark(tensor) for _, tensor in tensors_in(value))

    def _mark(self, tensor: Tensor) -> int:
        try:
            storage = tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):  # sparse tensors, and others without one place in memory
            return next(self._numbers)
        place, version = storage._cdata, tensor._version
        reference, known, mark = self._known.get(place, (None, 0, 0))
        if reference is None or reference.expired() or known != version:
            mark = next(self._numbers)
            self._known[place] = (StorageWeakRef(storage), version, mark)
            self._sweep()
        return mark

    def _sweep(self) -> None:
        """Forget the storages that are gone: even a weak reference holds their memory."""
        if len(self._known) >= self._sweep_at:
            self._known = {place: known for place, known in self._known.items() if not known[0].expired()}
            self._sweep_at = max(2 * len(self._known), FEW)


def _is_chain(given: Marks, parts: list[tuple[Marks, Marks]], gave: Marks) -> bool:
    """Return whether each part takes what the one before gave, the first what was given, and the last gives the answer."""
    handed = given
    for entering, leaving in parts:
        if not handed & entering:
            return False
        handed = leaving
    return bool(parts) and bool(handed & gave)
