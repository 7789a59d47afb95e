"""One block at a time: what a block computed is computed again when the gradient comes."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fathometer.implicit.matrix import Matrix, Session
from fathometer.implicit.weight import ImplicitWeight

OnBlock = Any  # a function of no arguments, called whenever a block has run


def implicit_weights(module: nn.Module) -> dict[str, ImplicitWeight]:
    """Return the weights of a module that are never made, by name; a tied one once."""
    return {name: weight for name, weight in module.named_parameters() if isinstance(weight, ImplicitWeight)}


def session_of(module: nn.Module) -> Session | None:
    """Return what the implicit weights of a module share; None if it has none."""
    return next((weight.matrix.session for weight in implicit_weights(module).values()), None)


def replay(model: nn.Module, blocks: Iterable[str], on_block: OnBlock = None) -> None:
    """Let a model begin each pass anew, and keep nothing of the named blocks but what enters them.

    Their inside runs again in the backward pass; every matrix then gives the answers that it gave before, as its draws depend on
    its own number and on how often it was called only. This is done for good: the model is one of our own.
    """
    model.forward = partial(_from_the_start, list(implicit_weights(model).values()), model.forward)
    names = list(blocks)
    shelf = Shelf(len(names))
    for name in names:
        block = model.get_submodule(name)
        block.forward = partial(_once_more, list(implicit_weights(block).values()), block.forward, on_block, shelf)


class Shelf:
    """One piece of memory for what enters the blocks.

    Kept one by one, between what comes and goes inside of blocks, they break the process's memory into pieces that nothing fits
    into any more: GPT-3 took 910 MB in place of 570.
    """

    def __init__(self, places: int) -> None:
        self.places, self.used = places, 0
        self.memory: Tensor | None = None

    def put(self, tensor: Tensor) -> None:
        """Move the numbers of a tensor here, if there is a place of their size left."""
        if self.memory is None or self.memory.shape[1] != tensor.numel() or self.memory.dtype != tensor.dtype:
            self.memory, self.used = tensor.new_empty(self.places, tensor.numel()), 0
        if self.used < self.places and tensor.is_contiguous():
            place = self.memory[self.used].view(tensor.shape)
            tensor.data = place.copy_(tensor.detach())
            self.used += 1


def _from_the_start(weights: list[ImplicitWeight], forward: Any, *args: Any, **kwargs: Any) -> Any:
    for matrix in _matrices(weights):
        matrix.begin()
    return forward(*args, **kwargs)


def _once_more(
    weights: list[ImplicitWeight], forward: Any, on_block: OnBlock, shelf: Shelf, *args: Any, **kwargs: Any
) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    if args and isinstance(args[0], Tensor) and args[0].requires_grad:
        shelf.put(args[0])
    starts = {id(matrix): matrix.calls for matrix in _matrices(weights)}

    def run(*args: Any, **kwargs: Any) -> Any:
        for matrix in _matrices(weights):  # experts may have joined since
            matrix.calls = starts.get(id(matrix), 0)
        if on_block is not None:
            on_block()
        with torch._C._EnableTorchFunction():  # torch.autograd.grad has switched it off for its own time
            return forward(*args, **kwargs)

    return checkpoint(run, *args, use_reentrant=False, **kwargs)


def _matrices(weights: list[ImplicitWeight]) -> list[Matrix]:
    return [matrix for weight in weights for matrix in weight.matrices]
