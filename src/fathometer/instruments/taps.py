"""Listening to a network: the only file with hooks; it always lets go."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from fathometer.contract import main_tensor


@dataclass(frozen=True)
class Call:
    """One call of one module: its name, how often it ran before in this pass, what went in and what came out."""

    name: str
    module: nn.Module
    index: int
    inputs: tuple[Any, ...]
    output: Any


OnEnter = Callable[[str, Any], None]
OnCall = Callable[[Call], None]
OnGradient = Callable[[Call, Tensor], None]


@contextmanager
def listen(
    model: nn.Module,
    names: Iterable[str] | None = None,
    *,
    on_enter: OnEnter | None = None,
    on_call: OnCall | None = None,
    on_gradient: OnGradient | None = None,
) -> Iterator[list[Call]]:
    """Listen to the named modules (all, if None) inside a `with` block, and always let go.

    Without `on_call` every `Call` is kept in the list that is handed out, in the order in which modules finish. With it,
    nothing is kept. `on_enter` gets a module's name and its inputs before it runs; `on_gradient` gets, in a backward pass
    inside the block, the gradient at the main tensor of each call's output, as it was when the call ended, whatever is
    written into it later. All hooks, those on tensors too, are gone after the block, also after an exception.
    """
    calls: list[Call] = []
    counts: dict[str, int] = {}
    handles: list[RemovableHandle] = []
    chosen = dict(model.named_modules())
    keep = calls.append if on_call is None else on_call

    def hook_for(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            call = Call(name, module, counts.get(name, 0), (*args, *kwargs.values()), output)
            counts[name] = call.index + 1
            with torch._C.DisableTorchFunction():  # no ear needs to hear what a listener computes
                keep(call)
            tensor = main_tensor(output)
            if on_gradient is not None and tensor is not None and tensor.requires_grad:
                handles.append(tensor.register_hook(lambda gradient: on_gradient(call, gradient)))

        return hook

    def enter_hook_for(name: str, enter: OnEnter) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            with torch._C.DisableTorchFunction():
                enter(name, (*args, *kwargs.values()))

        return hook

    try:
        for name in chosen if names is None else names:
            handles.append(chosen[name].register_forward_hook(hook_for(name), with_kwargs=True))
            if on_enter is not None:
                handles.append(chosen[name].register_forward_pre_hook(enter_hook_for(name, on_enter), with_kwargs=True))
        yield calls
    finally:
        for handle in handles:
            handle.remove()


# Every way that torch offers to call an activation, by the name of the function.
HEARD = {
    "relu": "relu", "relu_": "relu", "leaky_relu": "leaky_relu", "leaky_relu_": "leaky_relu", "elu": "elu", "elu_": "elu",
    "gelu": "gelu", "silu": "silu", "tanh": "tanh", "tanh_": "tanh", "sigmoid": "sigmoid", "sigmoid_": "sigmoid",
    "selu": "selu", "selu_": "selu", "relu6": "relu", "hardtanh": "hardtanh", "hardtanh_": "hardtanh",
}  # fmt: skip
_FUNCTIONS: dict[Any, str] = {
    getattr(home, function): name
    for function, name in HEARD.items()
    for home in (F, torch, torch.Tensor)
    if hasattr(home, function)
}


class ActivationEar(TorchFunctionMode):
    """A `with` block that hears every activation function, called as a module, a function or a method."""

    def __init__(self, on_activation: Callable[[str, Tensor], None]) -> None:
        super().__init__()
        self.on_activation = on_activation

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Tell the listener the name of the activation and its input, before the input may be overwritten."""
        name = _FUNCTIONS.get(func)
        inputs = None
        if name is not None:
            given = dict(zip(("input", "min_val", "max_val"), args, strict=False)) | (kwargs or {})
            name = _hardtanh_as(given.get("min_val", -1), given.get("max_val", 1)) if name == "hardtanh" else name
            inputs = given.get("input")
        if name is not None and isinstance(inputs, Tensor):
            self.on_activation(name, inputs.detach())  # here the ear is off: torch has taken the mode away for this call
        return func(*args, **(kwargs or {}))


def _hardtanh_as(low: int | float, high: int | float) -> str | None:
    """Return what to call torch's hardtanh: with the limits 0 and 6 it is how nn.ReLU6 is made."""
    if low == 0:
        return "relu"
    return "hardtanh" if (low, high) == (-1, 1) else None
