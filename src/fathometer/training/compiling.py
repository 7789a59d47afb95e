"""Blocks compiled for the time of a run."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from fathometer.training.blocks import chains


@contextmanager
def compiling(model: nn.Module, wanted: bool) -> Iterator[None]:
    """Run the blocks of a module compiled (the module itself where it has none) for the time of a `with` block.

    Blocks of one class are compiled once, so the wait does not grow with depth as that for the whole module does.
    """
    if not wanted:
        yield
        return
    targets = list(dict.fromkeys(block for chain in chains(model) for block in chain)) or [model]
    before = [(module, module._compiled_call_impl) for module in targets]
    try:
        for module in targets:
            module.compile()
        yield
    finally:
        for module, compiled in before:
            module._compiled_call_impl = compiled  # torch has no public way back
