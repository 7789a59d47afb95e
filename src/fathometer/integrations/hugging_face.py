"""A watch as a callback of Hugging Face's Trainer."""

from collections.abc import Mapping
from importlib import import_module
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

    Raises `TargetError` where transformers is not installed.
    """
    try:
        home = import_module("transformers")
    except ImportError:
        raise TargetError(
            "transformers is not installed", "This callback is for its Trainer", "Run: pip install 'fathometer[hf]'"
        ) from None
    return type("WatchCallback", (_Watching, home.TrainerCallback), {})(wishes)


class _Watching:
    """Watches the model while it is trained."""

    def __init__(self, wishes: Mapping[str, Any]) -> None:
        self._wishes = wishes
        self.watch: Watch | None = None
        self._parts, self._hook = list[Tensor](), None
        self._is_shared_out = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self.on_train_end(args, state, control)  # of a training that an exception has ended: no callback is told of that
        model, optimizer = given["model"], given["optimizer"]
        self._parts = []
        self._hook = None if args.torch_compile else model.register_forward_hook(self._hear, with_kwargs=True)
        self.watch = watch(model, getattr(optimizer, "optimizer", optimizer), **self._wishes).__enter__()

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self.watch is None:
            return
        parts, self._parts = self._parts, []
        self.watch.step(sum(parts) / (1 if self._is_shared_out else len(parts)) if parts else None)
        control.should_training_stop = control.should_training_stop or self.watch.should_stop

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        if self.watch is not None and self.watch.is_open:
            self.watch.__exit__(None, None, None)

    def _hear(self, module: nn.Module, args: Any, kwargs: Mapping[str, Any], output: Any) -> None:
        self._is_shared_out = kwargs.get("num_items_in_batch") is not None  # then the parts add up to the mean themselves
        loss = loss_in(output) if module.training else None
        if loss is not None:
            self._parts.append(loss.detach())
