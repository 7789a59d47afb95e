"""One block at a time: it runs again when its gradient comes."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from fathometer.implicit.matrix import Matrix, Session
from fathometer.implicit.weight import ImplicitWeight
from fathometer.memory import give_back_pages

OnBlock = Callable[[], None] | None
BLOCKS_A_TRIM = 16  # that run between two times that free pages are given back: .05 s in all for 96 blocks


def implicit_weights(module: nn.Module) -> dict[str, ImplicitWeight]:
    """Return the weights of a module that are never made, by name; a tied one once."""
    return {name: weight for name, weight in module.named_parameters() if isinstance(weight, ImplicitWeight)}


def session_of(module: nn.Module) -> Session | None:
    """Return what the implicit weights of a module share; None if it has none."""
    return next((weight.matrix.session for weight in module.parameters() if isinstance(weight, ImplicitWeight)), None)


def replay(model: nn.Module, blocks: Iterable[str], on_block: OnBlock = None) -> None:
    """Let a model begin each pass anew, and keep nothing of the named blocks but what enters them.

    Their inside runs again in the backward pass; every matrix then gives the answers that it gave before, as its draws depend on
    its own number and on how often it was called only. This is done for good: the model is one of our own. It is what
    `torch.utils.checkpoint` does, which in torch 2.13 imports torch's compiler, for a second and 80 MB, and keeps what enters
    the blocks where it happens to lie.
    """
    model.forward = partial(_from_the_start, list(implicit_weights(model).values()), model.forward)
    names = list(blocks)
    shelf = Shelf(len(names))
    for name in names:
        block = model.get_submodule(name)
        block.forward = partial(_once_more, list(implicit_weights(block).values()), block.forward, on_block, shelf)


class Shelf:
    """One piece of memory for what enters the blocks, and what the block at work keeps for its backward pass.

    Kept one by one, between what comes and goes inside of blocks, what enters them breaks the memory of the process into pieces
    that nothing fits into any more: GPT-3 took 910 MB in place of 570. What goes still leaves holes, so that the peak was 580 to
    860 MB with one and the same code; given back every few blocks, it is 550 to 610.
    """

    def __init__(self, places: int) -> None:
        self.places, self.used, self.ran = places, 0, 0
        self.memory: Tensor | None = None
        self.at_work: _Again | None = None

    def count(self) -> None:
        """Count a block that runs, for the first time or again; every few blocks give back what lies free."""
        self.ran += 1
        if self.ran % BLOCKS_A_TRIM == 0:
            give_back_pages()

    def put(self, tensor: Tensor) -> None:
        """Move the numbers of a tensor here, if there is a place of their size left."""
        if self.memory is None or self.memory.shape[1] != tensor.numel() or self.memory.dtype != tensor.dtype:
            self.memory, self.used = tensor.new_empty(self.places, tensor.numel()), 0
        if self.used < self.places and tensor.is_contiguous():
            place = self.memory[self.used].view(tensor.shape)
            tensor.data = place.copy_(tensor.detach())
            self.used += 1


class _Again:
    """What a block's graph keeps, made again when it is asked for: the numbers of the tensors in the order they were kept."""

    def __init__(self, run: Callable[[], Any], shelf: Shelf) -> None:
        self.run, self.shelf = run, shelf
        self.count = 0
        self.kept: dict[int, Tensor] = {}

    def pack(self, tensor: Tensor) -> int:
        self.count += 1
        return self.count - 1

    def unpack(self, index: int) -> Tensor:
        if index not in self.kept:
            self._run_again()
        return self.kept.pop(index)

    def _run_again(self) -> None:
        if self.shelf.at_work is not None:  # what nobody asked for in the block behind
            self.shelf.at_work.kept.clear()
        self.shelf.at_work = self
        self.shelf.count()
        kept = list[Tensor]()

        def keep(tensor: Tensor) -> None:  # to hand the tensor back would tie a knot: its graph would keep itself alive
            kept.append(tensor.detach())
            if len(kept) == self.count:
                raise _Enough

        # torch.autograd.grad has switched torch functions off for its own time
        with torch.enable_grad(), torch._C._EnableTorchFunction(), saved_tensors_hooks(keep, _never), suppress(_Enough):
            self.run()
        assert len(kept) == self.count, "the block did something else when it ran again"
        self.kept = dict(enumerate(kept))


class _Enough(Exception):  # noqa: N818  nothing is wrong
    """All that was kept has been made again; the rest of the block need not run."""


def _never(nothing: None) -> Tensor:
    raise AssertionError("nobody goes back through a block that only runs again")


def _from_the_start(weights: list[ImplicitWeight], forward: Any, *args: Any, **kwargs: Any) -> Any:
    for matrix in _matrices(weights):
        matrix.begin()
    return forward(*args, **kwargs)


def _once_more(weights: list[ImplicitWeight], forward: Any, on_block: OnBlock, shelf: Shelf, *args: Any, **kwargs: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    shelf.count()
    if args and isinstance(args[0], Tensor) and args[0].requires_grad:
        shelf.put(args[0])
    starts = {id(matrix): matrix.calls for matrix in _matrices(weights)}
    again = _Again(partial(_run, weights, starts, forward, torch.get_rng_state(), _alone(args), _alone(kwargs)), shelf)
    with saved_tensors_hooks(again.pack, again.unpack):
        output = forward(*args, **kwargs)
    if on_block is not None:
        on_block()
    return output


def _run(weights: list[ImplicitWeight], starts: dict[int, int], forward: Any, draws: Tensor, args: Any, kwargs: Any) -> Any:
    for matrix in _matrices(weights):  # experts may have joined since
        matrix.calls = starts.get(id(matrix), 0)
    with torch.random.fork_rng():
        torch.set_rng_state(draws)  # for dropout
        return forward(*args, **kwargs)


def _alone(value: Any) -> Any:
    """Return the same arguments, their tensors cut from the graph; what takes a gradient still does."""
    if isinstance(value, Tensor):
        return value.detach().requires_grad_(value.requires_grad)
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(_alone(item) for item in value)
    return {key: _alone(item) for key, item in value.items()} if type(value) is dict else value


def _matrices(weights: list[ImplicitWeight]) -> list[Matrix]:
    return [matrix for weight in weights for matrix in weight.matrices]
