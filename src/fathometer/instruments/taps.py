"""Listening to a network: the instruments' only hooks, always let go."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType
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
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> None:
            with torch._C.DisableTorchFunction():  # a hook that is removed by one before it still runs, without its kwargs
                enter(name, (*args, *(kwargs or {}).values()))

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


@contextmanager
def around_call(model: nn.Module, on_begin: Callable[[Any], None], on_end: Callable[[], None]) -> Iterator[None]:
    """Tell, inside a `with` block, when a module is called (with its inputs) and when it has answered or failed."""

    def begin(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> None:
        on_begin((*args, *(kwargs or {}).values()))

    def end(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        on_end()

    handles = [model.register_forward_pre_hook(begin, with_kwargs=True), model.register_forward_hook(end, always_call=True)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def around_modules(
    model: nn.Module, on_enter: Mapping[str, Callable[[], None]], on_leave: Mapping[str, Callable[[Any], None]]
) -> Iterator[None]:
    """Tell, inside a `with` block, that some modules are entered, and what leaves some: as `listen`, with less on the way.

    A module without any hook of its own, as most are, is told by its `forward`, at a third of what a hook takes.
    """
    modules, handles, told = dict(model.named_modules()), list[RemovableHandle](), list[nn.Module]()

    def enter_hook(tell: Callable[[], None]) -> Callable[..., None]:
        return lambda module, args: tell()

    def leave_hook(tell: Callable[[Any], None]) -> Callable[..., None]:
        return lambda module, args, output: tell(output)

    try:
        for name in dict.fromkeys((*on_enter, *on_leave)):
            module, enter, leave = modules[name], on_enter.get(name), on_leave.get(name)
            if _has_own_forward_alone(module):
                vars(module)["forward"] = _Told(module, enter, leave)
                told.append(module)
                continue
            if enter is not None:
                handles.append(module.register_forward_pre_hook(enter_hook(enter)))
            if leave is not None:
                handles.append(module.register_forward_hook(leave_hook(leave)))
        yield
    finally:
        for module in told:
            vars(module).pop("forward", None)
        for handle in handles:
            handle.remove()


class _Told:
    """A module's `forward` that tells when it begins, and what it answers."""

    def __init__(self, module: nn.Module, enter: Callable[[], None] | None, leave: Callable[[Any], None] | None) -> None:
        self.module, self.own, self.enter, self.leave = module, module.forward, enter, leave

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.enter is not None:
            self.enter()
        output = self.own(*args, **kwargs)
        if self.leave is not None:
            self.leave(output)
        return output

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Return the copied module's own `forward`: a copy tells nothing."""
        copied = memo[id(self.module)]
        return type(copied).forward.__get__(copied)


def _has_own_forward_alone(module: nn.Module) -> bool:
    """Return whether calling a module does nothing but its class's `forward`."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    is_usual = type(module).__call__ is nn.Module.__call__ and not isinstance(module, torch.jit.ScriptModule)
    return is_usual and "forward" not in vars(module) and not any(hooks)


@contextmanager
def rewriting(
    model: nn.Module, on_enter: Mapping[str, Callable[[Any], None]], rewrite: Mapping[str, Callable[[Any], Any]]
) -> Iterator[None]:
    """Let, inside a `with` block, what some modules answer be replaced by what `rewrite` makes of it.

    `on_enter` gets the inputs of a module, those passed by name last, before it runs.
    """
    modules, handles = dict(model.named_modules()), list[RemovableHandle]()

    def enter_hook(tell: Callable[[Any], None]) -> Callable[..., None]:
        return lambda module, args, kwargs: tell((*args, *kwargs.values()))

    def leave_hook(change: Callable[[Any], Any]) -> Callable[..., Any]:
        return lambda module, args, output: change(output)

    try:
        handles += [
            modules[name].register_forward_pre_hook(enter_hook(tell), with_kwargs=True) for name, tell in on_enter.items()
        ]
        handles += [modules[name].register_forward_hook(leave_hook(change)) for name, change in rewrite.items()]
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def around_step(
    optimizer: torch.optim.Optimizer,
    before: Callable[[torch.optim.Optimizer], None],
    after: Callable[[torch.optim.Optimizer], None],
) -> Iterator[None]:
    """Tell, inside a `with` block, when an optimizer is about to move the weights, and when it has moved them."""
    handles = [
        optimizer.register_step_pre_hook(lambda moving, args, kwargs: before(moving)),
        optimizer.register_step_post_hook(lambda moving, args, kwargs: after(moving)),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


Hearer = Callable[[tuple[Any, ...], dict[str, Any]], None]


class Ear(TorchFunctionMode):
    """A `with` block that hears chosen torch functions, however they are called, before they run.

    `hearers` says for each function who gets its arguments (positional, named). What is called inside
    `F.multi_head_attention_forward`, as nn.MultiheadAttention calls it, is heard too; inside other functions it is not.
    """

    def __init__(self, hearers: Mapping[Any, Hearer]) -> None:
        super().__init__()
        self.hearers = hearers

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Tell who listens, while the ear is off: torch has taken the mode away for this call."""
        kwargs = kwargs or {}
        hearer = self.hearers.get(func)
        if hearer is not None:
            hearer(args, kwargs)
        if func is F.multi_head_attention_forward:
            with self:
                return _opened(func)(*args, **kwargs)
        return func(*args, **kwargs)


def _opened(function: Any) -> Any:
    """Return a twin of one of torch's Python functions that does not hand itself over to the ear, only what it calls."""
    assert "has_torch_function" in function.__code__.co_names, "torch asks in another way: the twin would call the ear for ever"
    names = {**function.__globals__, "has_torch_function": lambda tensors: False}
    return FunctionType(function.__code__, names, function.__name__, function.__defaults__)
