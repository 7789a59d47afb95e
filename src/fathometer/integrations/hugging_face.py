"""A watch as a callback of Hugging Face's Trainer."""

import sys
from collections.abc import Mapping
from importlib import import_module
from threading import get_ident
from types import CodeType, FrameType
from typing import Any

from torch import Tensor, nn

from fathometer.contract import loss_in
from fathometer.diagnosis import Watch, watch
from fathometer.errors import TargetError


def hugging_face_callback(**wishes: Any) -> Any:
    """Return a callback for `Trainer(callbacks=[…])` that watches the model while it is trained.

    Takes what `fm.watch` takes, but model and optimizer, which the trainer has. The callback has the `watch` as an attribute;
    an alert that is in `stop_on` ends the training. A Trainer tells its callbacks no loss: it is read from the model's own
    output, the mean over accumulated parts. A model whose output brings no loss is watched by its layers alone.

    A Trainer tells its callbacks nothing of an exception that ends a training. The hooks are then gone as soon as the model
    is called again, by whomever. As a `with` block (`with hugging_face_callback() as callback:` around `train()`) they go at
    once, and the record names the exception.

    Raises `TargetError` where transformers is not installed.
    """
    try:
        home = import_module("transformers")
    except ImportError:
        raise TargetError(
            "transformers is not installed", "This callback is for its Trainer", "Run: pip install 'fathometer[hf]'"
        ) from None
    return type("WatchCallback", (_Watching, home.TrainerCallback), {})(wishes)


class UnknownException(Exception):  # noqa: N818 - its name stands in the record, where those of others do
    """Stands for what has ended a training that told nothing."""


class _Watching:
    """Watches the model while it is trained."""

    def __init__(self, wishes: Mapping[str, Any]) -> None:
        self._wishes = wishes
        self.watch: Watch | None = None
        self._parts, self._hook = list[Tensor](), None
        self._is_shared_out = False
        self._loop: tuple[int, CodeType | None] = (0, None)  # the thread and the function that train

    def __enter__(self) -> "_Watching":
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: object) -> None:
        self._close(kind)

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self._close(UnknownException)  # of a training that an exception has ended
        self._loop = (get_ident(), _caller(sys._getframe(1)))
        model, optimizer = given["model"], given["optimizer"]
        self._parts = []
        self._hook = None if args.torch_compile else model.register_forward_hook(self._hear, with_kwargs=True)
        seen = watch(model, getattr(optimizer, "optimizer", optimizer), **self._wishes)
        self.watch = seen.after(state.global_step).__enter__()  # it may go on from a checkpoint

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self.watch is None:
            return
        parts, self._parts = self._parts, []
        self.watch.step(sum(parts) / (1 if self._is_shared_out else len(parts)) if parts else None)
        control.should_training_stop = control.should_training_stop or self.watch.should_stop

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self._close(None)

    def _close(self, kind: type[BaseException] | None) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        if self.watch is not None and self.watch.is_open:
            self.watch.__exit__(kind, None, None)

    def _hear(self, module: nn.Module, args: Any, kwargs: Mapping[str, Any], output: Any) -> None:
        if self._is_over():
            self._close(UnknownException)
            return
        self._is_shared_out = kwargs.get("num_items_in_batch") is not None  # then the parts add up to the mean themselves
        loss = loss_in(output) if module.training else None
        if loss is not None:
            self._parts.append(loss.detach())

    def _is_over(self) -> bool:
        """Return whether the loop that trains has been left: the function is not among those that have called this one."""
        thread, code = self._loop
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code is not code:
            frame = frame.f_back
        return frame is None and code is not None and thread == get_ident()  # parts of a batch may run in other threads


def _caller(frame: FrameType | None) -> CodeType | None:
    """Return the function that has told its callbacks something: the first one beyond what hands it on."""
    while frame is not None and frame.f_globals.get("__name__") != "transformers.trainer_callback":
        frame = frame.f_back
    while frame is not None and frame.f_globals.get("__name__") == "transformers.trainer_callback":
        frame = frame.f_back
    return None if frame is None else frame.f_code
