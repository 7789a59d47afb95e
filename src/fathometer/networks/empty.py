"""What must be zero for a block to be the identity: found by trying."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import call, main_tensor
from fathometer.errors import ModelError

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Unit = tuple[str, ...]  # names of parameters that go to zero together: those of one layer


@torch.no_grad()
def heard(model: nn.Module, block: nn.Module, inputs: Any) -> tuple[Tensor, Arguments]:
    """Return what a module answers, and with which arguments it calls one of its blocks (copies, for a cache grows)."""
    arguments: list[Arguments] = []
    handle = block.register_forward_pre_hook(lambda _, args, kwargs: arguments.append(deepcopy((args, kwargs))), with_kwargs=True)
    try:
        output = main_tensor(call(model, inputs))
    finally:
        handle.remove()
    if output is None or not arguments:
        given = "returns no floating-point tensor" if output is None else "does not call its last block"
        raise ModelError(f"The {type(model).__name__} {given}", "Growing looks at what blocks do", "Check the inputs")
    return output, arguments[0]


def what_to_zero(block: nn.Module, arguments: Arguments) -> list[Unit]:
    """Return the fewest layers whose zeros make a block the identity: the last one of each branch.

    Layers are tried in the order opposite to execution: one whose zeros change nothing lies on a branch that is off already.
    Raises `ModelError` where all of that does not lead to the identity, or to one that cannot learn.
    """
    twin, zeros = deepcopy(block), list[Unit]()
    signal = main_tensor(arguments)
    output = _answer(twin, arguments)
    for unit in _last_first(twin, arguments):
        if signal is None or output.shape != signal.shape or torch.equal(output, signal):
            break
        kept = [twin.get_parameter(name).detach().clone() for name in unit]
        _fill(twin, unit, [torch.zeros_like(value) for value in kept])
        now = _answer(twin, arguments)
        if torch.equal(now, output):
            _fill(twin, unit, kept)
        else:
            zeros, output = [*zeros, unit], now
    if signal is None or output.shape != signal.shape or not torch.equal(output, signal):
        raise ModelError(
            f"A {type(block).__name__} is not the identity, whichever of its layers are zero",
            "A new block must hand on what it is given: it needs a residual stream, and no norm behind the sum",
            "Grow a network with pre-norm or plain residual blocks",
        )
    _check_learns(twin, zeros, arguments)
    return zeros


def _last_first(block: nn.Module, arguments: Arguments) -> Iterator[Unit]:
    """Yield the layers of a block from the last executed to the first; one that is not called by itself, before its parent."""
    finished: list[str] = []
    handles = [
        module.register_forward_hook(lambda *_, name=name: finished.append(name)) for name, module in block.named_modules()
    ]
    try:
        _answer(block, arguments)
    finally:
        for handle in handles:
            handle.remove()
    ran = set(finished)
    for name in dict.fromkeys(reversed(finished)):
        module = block.get_submodule(name)
        for child, inner in module.named_children():
            path = f"{name}.{child}" if name else child
            if path not in ran:
                yield from _units(path, inner)
        yield from _units(name, module)


def _units(path: str, module: nn.Module) -> list[Unit]:
    """Return a layer as one unit, and each parameter that a larger module holds by itself as one of its own, last first."""
    names = [f"{path}.{name}" if path else name for name, _ in module.named_parameters(recurse=False)]
    is_layer = not any(True for _ in module.children())
    return ([tuple(names)] if names else []) if is_layer else [(name,) for name in reversed(names)]


@torch.no_grad()
def _answer(block: nn.Module, arguments: Arguments) -> Tensor:
    args, kwargs = deepcopy(arguments)
    output = main_tensor(block(*args, **kwargs))
    assert output is not None
    return output


@torch.no_grad()
def _fill(block: nn.Module, unit: Unit, values: list[Tensor]) -> None:
    for name, value in zip(unit, values, strict=True):
        block.get_parameter(name).copy_(value)


def _check_learns(block: nn.Module, zeros: list[Unit], arguments: Arguments) -> None:
    args, kwargs = deepcopy(arguments)
    block.requires_grad_(True)
    with torch.enable_grad():
        output = main_tensor(block(*args, **kwargs))
        assert output is not None
        draws = torch.randn(output.shape, generator=torch.Generator().manual_seed(0), device="cpu").to(output)
        (output * draws).sum().backward()
    gradients = [block.get_parameter(name).grad for unit in zeros for name in unit]
    if not any(gradient is not None and gradient.any() for gradient in gradients):
        raise ModelError(
            f"A {type(block).__name__} that is the identity gets no gradient",
            "A new block must be able to learn",
            "Check that its branch is not off",
        )
