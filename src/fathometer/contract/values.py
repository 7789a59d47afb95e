"""Tensors inside anything: tuples, dictionaries, dataclasses."""

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

LOSS_NAMES, OUTPUT_NAMES = ("loss",), ("logits", "last_hidden_state", "output", "outputs", "prediction")


def tensors_in(value: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield (path, tensor) for every tensor in nested tuples, lists, mappings and dataclasses.

    >>> import torch
    >>> [path for path, _ in tensors_in({"x": torch.zeros(1), "rest": (torch.zeros(2), 3)})]
    ['x', 'rest.0']
    """
    if isinstance(value, Tensor):
        yield "", value
        return
    for key, item in _items(value):
        for path, tensor in tensors_in(item):
            yield (f"{key}.{path}" if path else str(key)), tensor


def main_tensor(value: Any) -> Tensor | None:
    """Return the tensor that carries the signal: `logits` and the like by name, else the first of floating point.

    A single number, such as the loss in `(loss, logits)`, is taken only where there is nothing else.
    """
    if isinstance(value, Tensor):
        return value if value.is_floating_point() else None
    items = dict(_items(value))
    for name in OUTPUT_NAMES:
        item = items.get(name)
        if isinstance(item, Tensor) and item.is_floating_point():
            return item
    rest = {key: item for key, item in items.items() if key not in LOSS_NAMES}
    floats = [tensor for _, tensor in tensors_in(rest) if tensor.is_floating_point()]
    return next((tensor for tensor in floats if tensor.ndim), floats[0] if floats else None)


def loss_in(value: Any) -> Tensor | None:
    """Return the scalar `.loss` of a model's output, as Hugging Face models give it, or None."""
    loss = None if isinstance(value, Tensor) else dict(_items(value)).get("loss")
    return loss.reshape(()) if isinstance(loss, Tensor) and loss.numel() == 1 else None


def map_tensors(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Return the same structure with `function` applied to every tensor."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_tensors(item, function) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(map_tensors(item, function) for item in value)
    if isinstance(value, Mapping):
        return _remake(value, {key: map_tensors(item, function) for key, item in value.items()})
    if is_dataclass(value) and not isinstance(value, type):
        return _copy_dataclass(value, function)
    return value


def _remake(value: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    try:
        return type(value)(items)  # pyrefly: ignore[bad-instantiation, bad-argument-count]  (any mapping a user brings)
    except TypeError:
        return items


def _copy_dataclass(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    twin = copy(value)
    for field in fields(value):
        object.__setattr__(twin, field.name, map_tensors(getattr(value, field.name), function))
    return twin


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list | tuple):
        names = getattr(value, "_fields", range(len(value)))
        yield from zip(names, value, strict=True)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from ((field.name, getattr(value, field.name)) for field in fields(value))
