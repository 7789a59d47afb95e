"""Nothing is changed by looking: what a module and the generators hold."""

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import is_
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fathometer.spec.checks import check_seed

_SEQUENCES = (list, tuple, set, frozenset, deque)
_CONTAINERS = (dict, list, set, deque)  # those that can change
_GENERATORS = (torch.Generator, random.Random, np.random.Generator, np.random.RandomState)
_WATCHED = (nn.Module, dict, Tensor, *_SEQUENCES, *_GENERATORS)
_WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # bytes of a number → integers to compare its bits by


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Put everything back at the end of the block, also after an exception, bit for bit.

    Everything: parameters, buffers, gradients, train and eval modes, hooks and all other attributes of the modules, with
    the tensors, containers, unregistered modules and generators in them; and the states of torch's, numpy's and Python's
    generators. Objects of other classes that a module holds are not looked into.
    """
    generators, restorers = generator_states(), _restorers(_held_by(model))
    try:
        yield
    finally:
        restore_generators(generators)
        for restore in restorers:
            restore()


def generator_states() -> tuple[Any, ...]:
    """Return the states of all generators that a forward pass may draw from."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else None
    return torch.get_rng_state(), cuda, np.random.get_state(), random.getstate()


def seed_generators(seed: int) -> None:
    """Seed torch's generators that are in use; a GPU that was not started yet is not told (it would be when it starts)."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Start torch's, numpy's and Python's generators from a seed for the time of the block, and give them back as they were."""
    check_seed(seed)
    states = generator_states()
    seed_generators(seed)
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        restore_generators(states)


def restore_generators(states: tuple[Any, ...]) -> None:
    """Put the generators back into these states."""
    torch.set_rng_state(states[0])
    if states[1] is not None:
        torch.cuda.set_rng_state_all(states[1])
    np.random.set_state(states[2])
    random.setstate(states[3])


def _held_by(model: nn.Module) -> list[Any]:
    """Return all that can change and that a module reaches through its attributes, each thing once."""
    found: dict[int, Any] = {}
    is_watched: dict[type, bool] = {}  # asked once for each class: a large model holds few of them
    waiting: list[Any] = [model]
    while waiting:
        thing = waiting.pop()
        if id(thing) in found:
            continue
        found[id(thing)] = thing
        for inner in _inside(thing):
            kind = type(inner)
            if kind not in is_watched:
                is_watched[kind] = issubclass(kind, _WATCHED)
            if is_watched[kind]:
                waiting.append(inner)
    return [thing for thing in found.values() if not isinstance(thing, tuple | frozenset)]


def _inside(thing: Any) -> Iterable[Any]:
    if isinstance(thing, dict):
        return thing.values()
    if isinstance(thing, nn.Module):
        return vars(thing).values()
    if isinstance(thing, Tensor):
        return [thing.grad] if thing.is_leaf else []
    return thing if isinstance(thing, _SEQUENCES) else ()


def _restorers(things: Iterable[Any]) -> list[Callable[[], None]]:
    """Return the functions that make these things what they are now; one for all empty containers, which are most of them."""
    things = list(things)
    empty = [thing for thing in things if isinstance(thing, _CONTAINERS) and not len(thing)]
    others = [thing for thing in things if not isinstance(thing, _CONTAINERS) or len(thing)]
    return [partial(_empty_again, empty), *map(_keep, others)]


def _empty_again(things: Iterable[Any]) -> None:
    for thing in things:
        if len(thing):
            thing.clear()


def _keep(thing: Any) -> Callable[[], None]:
    """Return the function that makes a thing what it is now."""
    if isinstance(thing, nn.Module):
        return partial(_restore_attributes, vars(thing), dict(vars(thing)))
    if isinstance(thing, Tensor):
        return _keep_tensor(thing)
    return _keep_generator(thing) if isinstance(thing, _GENERATORS) else partial(_restore_contents, thing, _contents(thing))


def _restore_attributes(own: dict[str, Any], before: dict[str, Any]) -> None:
    for name in own.keys() - before.keys():
        del own[name]
    own.update(before)


def _restore_contents(thing: Any, before: list[Any]) -> None:
    """Put back which things a dictionary, list, set or deque holds, in their order."""
    now = _contents(thing)
    if len(now) == len(before) and all(map(is_, now, before)):
        return
    thing.clear()
    if isinstance(thing, dict):
        half = len(before) // 2
        for key, value in zip(before[:half], before[half:], strict=True):
            thing[key] = value
    else:
        thing.update(before) if isinstance(thing, set) else thing.extend(before)


def _contents(thing: Any) -> list[Any]:
    return [*thing, *thing.values()] if isinstance(thing, dict) else list(thing)


def _keep_generator(generator: Any) -> Callable[[], None]:
    if isinstance(generator, np.random.Generator):
        bits, numpy_state = generator.bit_generator, generator.bit_generator.state
        return partial(setattr, bits, "state", numpy_state)
    if isinstance(generator, random.Random):
        python_state = generator.getstate()
        return partial(generator.setstate, python_state)
    return partial(generator.set_state, generator.get_state())


def _keep_tensor(tensor: Tensor) -> Callable[[], None]:
    """Keep a tensor's place in memory, its numbers, whether it takes gradients, and which gradient it has.

    Versions cannot tell whether a number changed, as `.data` bypasses them; so the bits are compared. They are written
    only where they differ, and past the version, so that a graph the user still holds stays good.
    """
    numbers = partial(_restore_numbers, tensor, tensor.data, tensor.detach().clone(), _place(tensor))
    if not tensor.is_leaf:
        return numbers
    return partial(_restore_leaf, numbers, tensor, tensor.requires_grad, tensor.grad)


def _restore_numbers(tensor: Tensor, data: Tensor, value: Tensor, place: tuple[Any, ...] | None) -> None:
    if place is None or _place(tensor) != place:
        tensor.data = data
    if not _same_bits(tensor.detach(), value):
        tensor.data.copy_(value)


def _restore_leaf(numbers: Callable[[], None], tensor: Tensor, takes_gradient: bool, gradient: Tensor | None) -> None:
    numbers()
    if tensor.requires_grad != takes_gradient:
        tensor.requires_grad_(takes_gradient)
    if tensor.grad is not gradient:
        tensor.grad = gradient


def _place(tensor: Tensor) -> tuple[Any, ...] | None:
    """Return where a tensor's numbers lie and how they are read; None if it has no one place (sparse ones)."""
    if tensor.layout is not torch.strided:
        return None
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype


def _same_bits(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors agree in every bit: NaN equals NaN, and 0 is not -0."""
    if one.is_meta:
        return True
    if one.layout is not torch.strided or one.is_quantized:
        return False
    if one.is_complex():
        one, other = torch.view_as_real(one), torch.view_as_real(other)
    word = _WORDS[one.element_size()]
    return torch.equal(one.view(word), other.view(word))
