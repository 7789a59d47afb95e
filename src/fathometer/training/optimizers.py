"""The optimizer that a run asks for, over any parameters."""

from collections.abc import Callable
from typing import Any
from warnings import warn

import torch
from torch import nn

from fathometer.errors import ModelError, unknown_name
from fathometer.records import Asked

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


def make_optimizer(model: nn.Module, asked: Asked) -> torch.optim.Optimizer:
    """Return the optimizer over the parameters that are not frozen; fused where torch can.

    Raises `SpecError` for an unknown name, `ModelError` where there is nothing to train. Warns of a momentum that
    only SGD would use.
    """
    if asked.optimizer not in OPTIMIZERS:
        raise unknown_name("optimizer", asked.optimizer, OPTIMIZERS)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ModelError("The model has no parameters that need a gradient", "Training moves some", "Check `requires_grad`")
    options: dict[str, Any] = {"lr": asked.learning_rate, "weight_decay": asked.weight_decay}
    if asked.optimizer == "sgd":
        options["momentum"] = asked.momentum
    elif asked.momentum:
        warn(f"`momentum` is {asked.momentum}, which {asked.optimizer} does not use: it has its own", stacklevel=2)
    return OPTIMIZERS[asked.optimizer](parameters, **options, fused=_can_fuse(parameters))


def _can_fuse(parameters: list[nn.Parameter]) -> bool:
    return all(parameter.device.type in ("cpu", "cuda") and parameter.is_floating_point() for parameter in parameters)
