"""A watch as a callback of Lightning's Trainer."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from fathometer.diagnosis import Watch, watch
from fathometer.errors import TargetError


def lightning_callback(**wishes: Any) -> Any:
    """Return a callback for `Trainer(callbacks=[…])` that watches the module while it is fitted.

    Takes what `fm.watch` takes, but model and optimizer, which the trainer has. The callback has the `watch` as an attribute;
    an alert that is in `stop_on` ends the fit. Works with manual and automatic optimization, accumulation and precision
    plugins; the loss is what `training_step` returns (its "loss", for a dictionary), the mean over accumulated parts.

    Raises `TargetError` where Lightning is not installed.
    """
    home = _lightning()
    return type("WatchCallback", (_Watching, home.Callback), {})(wishes)


def _lightning() -> Any:
    for name in ("lightning.pytorch", "pytorch_lightning"):
        try:
            return import_module(name)
        except ImportError:
            continue
    raise TargetError(
        "Lightning is not installed", "This callback is for its Trainer", "Run: pip install 'fathometer[lightning]'"
    )


class _Watching:
    """Watches the module while it is fitted."""

    def __init__(self, wishes: Mapping[str, Any]) -> None:
        self._wishes = wishes
        self.watch: Watch | None = None
        self._step, self._parts = 0, list[Any]()

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._step, self._parts = trainer.global_step, []
        seen = watch(pl_module, list(trainer.optimizers), **self._wishes)
        self.watch = seen.after(self._step).__enter__()  # it may go on from a checkpoint

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if self.watch is not None:
            self.watch.recorder.begin(batch)  # a training step calls parts of the module, never the module itself

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        if self.watch is not None:
            self.watch.recorder.end()

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        if self.watch is not None:
            self.watch.recorder.before_move(getattr(optimizer, "optimizer", optimizer))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is not None:
            self._parts.append(loss.detach())
        if trainer.global_step == self._step or self.watch is None or not self._parts:
            return
        self._step = trainer.global_step
        scale = trainer.accumulate_grad_batches  # by which Lightning has divided each part
        mean = sum(self._parts) / len(self._parts) * (scale if len(self._parts) > 1 else 1)
        self.watch.step(mean, batch if len(self._parts) == 1 else None)
        self._parts = []
        if self.watch.should_stop:
            trainer.should_stop = True

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self._close(None)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._close(exception)

    def _close(self, problem: BaseException | None) -> None:
        if self.watch is not None and self.watch.is_open:
            self.watch.__exit__(None if problem is None else type(problem), problem, None)
