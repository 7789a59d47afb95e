"""A twin of any module that has shapes and no numbers."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from fathometer.contract import tensors_in, unwrapped
from fathometer.errors import ModelError


def on_meta(model: nn.Module) -> nn.Module:
    """Return a copy of the module on the meta device; nothing of the module is changed, and no number is copied.

    Parameters that are one stay one, and each keeps its `requires_grad`. A wrapped module, as from `torch.compile`, gives the
    twin of what is inside. Raises `ModelError` for a module that cannot be copied.
    """
    model = unwrapped(model)
    twins: dict[int, Any] = {}  # what `deepcopy` takes for copied already
    for module in model.modules():
        for _, tensor in tensors_in(vars(module)):
            twins.setdefault(id(tensor), _twin(tensor))
    try:
        return deepcopy(model, twins)
    except Exception as problem:
        raise ModelError(
            f"The module cannot be copied: {type(problem).__name__}: {problem}",
            "Counting runs on a copy that has shapes and no numbers",
            "Build it anew under `torch.device('meta')`, and pass that",
        ) from problem


def _twin(tensor: Tensor) -> Tensor:
    if is_lazy(tensor):
        raise ModelError(
            "A lazy layer has no sizes yet", "They are known after the first pass", "Run the module once before it is counted"
        )
    twin = torch.empty_like(tensor, device="meta", requires_grad=False)
    return nn.Parameter(twin, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else twin
