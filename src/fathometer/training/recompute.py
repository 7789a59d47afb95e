"""Activation checkpointing: keep little, and compute the rest again."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import pairwise
from math import ceil, isqrt
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fathometer.contract import LossFunction
from fathometer.errors import ModelError
from fathometer.training.batch import answer
from fathometer.training.blocks import Chain, chains
from fathometer.training.evaluate import evaluating


@contextmanager
def recomputing(model: nn.Module, how: str | None, sample: Any = None, *, loss_fn: LossFunction | None = None) -> Iterator[None]:
    """Let a module keep only the inputs of segments for its backward pass, for the time of a `with` block.

    A segment is one block ("block") or ⌊√L⌋ of the L blocks of a chain ("sqrt", Chen et al. 2016); None changes nothing. The
    last segment keeps all, for the backward pass begins with it. Gradients, generators and buffers are those of the plain
    module. Of a longer segment the first block runs all and the others hand on: hooks on those see what leaves the segment.

    Raises `ModelError` where there are no blocks, or where segments cannot be: where the blocks do not run one after another,
    or the module answers a `sample` batch otherwise.
    """
    if how is None:
        yield
        return
    found = chains(model)
    if not found:
        raise ModelError(
            "The model has no list of blocks", f'`checkpointing` "{how}" needs nn.ModuleList or nn.Sequential', "Turn it off"
        )
    expected = _loss(model, sample, loss_fn) if how == "sqrt" else None
    before = [(block, vars(block).get("forward")) for chain in found for block in chain]
    try:
        *segments, _ = _segments(found, how)
        for segment in segments:
            _join(segment)
        if how == "sqrt" and not _same(expected, _loss(model, sample, loss_fn)):
            raise _not_a_chain("The model answers otherwise when its blocks run in segments")
        yield
    finally:
        for block, forward in before:
            vars(block).pop("forward", None)
            if forward is not None:
                block.forward = forward


def _segments(found: tuple[Chain, ...], how: str) -> Iterator[Chain]:
    for chain in found:
        size = 1 if how == "block" else isqrt(len(chain))
        unique = tuple(dict.fromkeys(chain))
        if size > 1 and len(unique) < len(chain):
            raise _not_a_chain("A block is in the list more than once")
        count = ceil(len(unique) / size)  # of segments as equal as can be, the longer ones last
        ends = [index * len(unique) // count for index in range(count + 1)]
        yield from (unique[start:stop] for start, stop in pairwise(ends))


def _join(segment: Chain) -> None:
    """Let the first block run the whole segment without keeping its activations, and the others hand on what it gives."""
    forwards = [block.forward for block in segment]
    handed = list[Callable[[], Any]]()

    def whole(signal: Any, *rest: Any, **named: Any) -> Any:
        for forward in forwards:
            signal = forward(signal, *rest, **named)
        return signal

    def first(signal: Any, *rest: Any, **named: Any) -> Any:
        if torch.is_grad_enabled():
            contexts = partial(_contexts, segment)
            result = checkpoint(whole, signal, *rest, use_reentrant=False, context_fn=contexts, **named)
        else:
            result = whole(signal, *rest, **named)
        handed[:] = [ref(result)] if isinstance(result, Tensor) else [lambda: result]
        return result

    def other(signal: Any, *_: Any, **__: Any) -> Any:
        if not handed or signal is not handed[0]():
            raise _not_a_chain("What enters a block is not what has left the block before it")
        return signal

    for block, forward in zip(segment, (first, *[other] * (len(segment) - 1)), strict=True):
        block.forward = forward


def _contexts(segment: Chain) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _buffers_apart(segment)


@contextmanager
def _buffers_apart(segment: Chain) -> Iterator[None]:
    """Let statistics, such as those of a batch norm, be moved by the first pass alone."""
    homes = [(module, name) for block in segment for module in block.modules() for name in module._buffers]
    kept = [(module, name, module._buffers[name]) for module, name in homes]
    try:
        for module, name, buffer in kept:
            module._buffers[name] = None if buffer is None else buffer.clone()
        yield
    finally:
        for module, name, buffer in kept:
            module._buffers[name] = buffer


def _loss(model: nn.Module, sample: Any, loss_fn: LossFunction | None) -> Tensor | None:
    if sample is None:
        return None
    with evaluating(model), torch.no_grad():
        return answer(model, sample, loss_fn)[1]


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    return one is None or other is None or torch.equal(one, other) or bool(one.isnan() & other.isnan())


def _not_a_chain(given: str) -> ModelError:
    return ModelError(given, '`checkpointing` "sqrt" needs blocks that run one after another', 'Say checkpointing = "block"')
