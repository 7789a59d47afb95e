"""Nothing is changed by looking: what a module and the generators hold, kept and put back."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_TABLES = ("_parameters", "_buffers", "_modules")


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Put everything back at the end of the block, also after an exception, bit for bit.

    Everything: parameters, buffers, gradients, train and eval modes, hooks, other attributes of the modules (shallow),
    and the states of torch's, numpy's and Python's generators.
    """
    generators = generator_states()
    modules = [(module, dict(vars(module)), _tables(module)) for module in model.modules()]
    tensors = [_Kept(tensor) for tensor in (*model.parameters(), *model.buffers())]
    gradients = [(tensor, tensor.grad, None if tensor.grad is None else tensor.grad.clone()) for tensor in model.parameters()]
    try:
        yield
    finally:
        for module, attributes, tables in modules:
            _restore_module(module, attributes, tables)
        for kept in tensors:
            kept.restore()
        for tensor, gradient, value in gradients:
            tensor.grad = gradient
            if gradient is not None and value is not None:
                _write(gradient, value)
        restore_generators(generators)


class _Kept:
    """One tensor as it was: its storage, its values, its version."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor, self.storage, self.version = tensor, tensor.data, tensor._version
        self.value = tensor.detach().clone()

    def restore(self) -> None:
        replaced = self.tensor.data_ptr() != self.storage.data_ptr()
        if replaced:
            self.tensor.data = self.storage
        if replaced or self.tensor._version != self.version:
            _write(self.tensor, self.value)


def generator_states() -> tuple[Any, ...]:
    """Return the states of all generators that a forward pass may draw from."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else None
    return torch.get_rng_state(), cuda, np.random.get_state(), random.getstate()


def restore_generators(states: tuple[Any, ...]) -> None:
    """Put the generators back into these states."""
    torch.set_rng_state(states[0])
    if states[1] is not None:
        torch.cuda.set_rng_state_all(states[1])
    np.random.set_state(states[2])
    random.setstate(states[3])


def _tables(module: nn.Module) -> dict[str, dict[str, Any]]:
    return {name: dict(table) for name, table in vars(module).items() if _is_table(name, table)}


def _is_table(name: str, table: Any) -> bool:
    return isinstance(table, dict) and (name in _TABLES or name.endswith("_hooks") or "_hooks_" in name)


def _restore_module(module: nn.Module, attributes: dict[str, Any], tables: dict[str, dict[str, Any]]) -> None:
    own = vars(module)
    for name in [name for name in own if name not in attributes]:
        del own[name]
    own.update(attributes)
    for name, table in tables.items():
        if dict(own[name]) != table if name not in _TABLES else _differs(own[name], table):
            own[name].clear()
            own[name].update(table)


def _differs(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return list(one) != list(other) or any(one[key] is not other[key] for key in one)


def _write(tensor: Tensor, value: Tensor) -> None:
    with torch.no_grad():
        tensor.copy_(value)
