"""The optimizer that a run asks for, over any parameters."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from warnings import warn

import torch
from torch import nn

from fathometer.errors import ModelError, SpecError, look_up
from fathometer.parametrizations import Scale
from fathometer.records import Asked
from fathometer.training.muon import MuonWithAdamW, muon_groups

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "muon": MuonWithAdamW,
}
ADAM_EPSILON = 1e-8  # torch's default
_PLAIN = Scale(0.0)


def make_optimizer(model: nn.Module, asked: Asked, scales: Mapping[str, Scale] | None = None) -> torch.optim.Optimizer:
    """Return the optimizer over the parameters that are not frozen; fused where torch can.

    `scales` gives, by the name of a parameter, the multipliers of the learning rate, the weight decay and Adam's ε that a
    parametrization asks for; what is not named has none. Parameters with the same multipliers make one group.

    Raises `SpecError` for an unknown name, or for multipliers with SGD or Muon, which they are not made for; `ModelError`
    where there is nothing to train. Warns of a momentum that only SGD would use.
    """
    make = look_up("optimizer", asked.optimizer, OPTIMIZERS)
    groups = _groups(model, asked, scales or {})
    if not groups:
        raise ModelError("The model has no parameters that need a gradient", "Training moves some", "Check `requires_grad`")
    options: dict[str, Any] = {}
    if asked.optimizer == "sgd":
        options["momentum"] = asked.momentum
    elif asked.momentum:
        warn(f"`momentum` is {asked.momentum}, which {asked.optimizer} does not use: it has its own", stacklevel=2)
    parameters = [parameter for group in groups for parameter in group["params"]]
    return make(groups, **options, fused=_can_fuse(parameters, asked.optimizer))


def _groups(model: nn.Module, asked: Asked, scales: Mapping[str, Scale]) -> list[dict[str, Any]]:
    by_multipliers: dict[Scale, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            by_multipliers.setdefault(_multipliers(scales.get(name, _PLAIN)), []).append(parameter)
    if asked.optimizer in ("sgd", "muon") and any(scale != _PLAIN for scale in by_multipliers):
        raise SpecError(
            f'The network asks for learning rates of its own, and `optimizer` is "{asked.optimizer}"',
            "The rates of μP, depth-μP and CompleteP are made for Adam",
            'Say optimizer = "adamw", or build the network with another `init`',
        )
    if asked.optimizer == "muon" and by_multipliers:
        return muon_groups(model, {"lr": asked.learning_rate, "weight_decay": asked.weight_decay})
    return [_group(parameters, scale, asked) for scale, parameters in by_multipliers.items()]


def _multipliers(scale: Scale) -> Scale:
    """Return a scale with what the optimizer is not concerned with set aside."""
    return replace(scale, weight_std=0.0, bias_std=0.0, distribution="normal", multiplier=1.0)


def _group(parameters: list[nn.Parameter], scale: Scale, asked: Asked) -> dict[str, Any]:
    group: dict[str, Any] = {
        "params": parameters,
        "lr": asked.learning_rate * scale.learning_rate_multiplier,
        "weight_decay": asked.weight_decay * scale.weight_decay_multiplier,
    }
    return group if asked.optimizer == "sgd" else {**group, "eps": ADAM_EPSILON * scale.epsilon_multiplier}


def _can_fuse(parameters: list[nn.Parameter], optimizer: str) -> bool:
    is_spread = any(hasattr(parameter, "full_tensor") for parameter in parameters)
    if is_spread and optimizer == "sgd":  # torch has no fused step of it for weights that several processes share
        return False
    return all(parameter.device.type in ("cpu", "cuda") and parameter.is_floating_point() for parameter in parameters)
