"""All runs in the open: no fast path or compiled graph hides a layer."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn


@contextmanager
def in_the_open(model: nn.Module) -> Iterator[None]:
    """Make every module of a model run as it is written, inside a `with` block.

    In eval mode and without gradients torch's own attention and transformer layers take a fast path that calls none of
    their parts and hands nested tensors from layer to layer; compiled modules run a graph in which hooks are recompiled or
    lost. Both are switched off, and are as they were after the block, also after an exception.
    """
    with ExitStack() as stack:
        if torch.backends.mha.get_fastpath_enabled():
            stack.callback(torch.backends.mha.set_fastpath_enabled, True)
            torch.backends.mha.set_fastpath_enabled(False)
        if _is_compiled(model):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


def _is_compiled(model: nn.Module) -> bool:
    """Return whether a part of a model is compiled; to ask torch itself would cost the import of its compiler."""
    return any(
        getattr(module, "_compiled_call_impl", None) is not None or type(module).__name__ == "OptimizedModule"
        for module in model.modules()
    )
