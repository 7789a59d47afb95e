"""An optimizer's groups and states, carried over to a grown network."""

import inspect
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from fathometer.errors import ModelError
from fathometer.networks.growth import Growth

# How a state follows when a parameter is multiplied by c and its gradient thus divided by c.
_POWERS = {"momentum_buffer": 1, "exp_avg": 1, "exp_avg_sq": 2, "max_exp_avg_sq": 2}


def carry(optimizer: Optimizer, growth: Growth) -> Optimizer:
    """Return an optimizer of the same class over a grown network; the given one is left alone.

    A new parameter joins the group of the old one that it is like, or the first group where that one is not trained. Old
    parameters keep copies of their states, those that were multiplied in the measure of their new gradients; new ones start
    without any. Where a parametrization gives some of a group another rate or ε at the new depth, they become a group of
    their own.

    Raises `ModelError` for an optimizer of parameters that are not the model's.
    """
    moved = growth.moved
    own = {parameter for group in optimizer.param_groups for parameter in group["params"]}
    if own - set(moved):
        raise ModelError(
            f"The optimizer holds {len(own - set(moved))} parameters that are not the model's",
            "States are carried over by parameter",
            "Pass the optimizer of this very model",
        )
    groups = [{**group, "params": [moved[old] for old in group["params"]]} for group in optimizer.param_groups]
    home = {old: index for index, group in enumerate(optimizer.param_groups) for old in group["params"]}
    for new, like in growth.kin.items():
        groups[0 if like is None else home.get(like, 0)]["params"].append(new)
    known = inspect.signature(type(optimizer)).parameters
    groups = [part for group in groups for part in _by_pace(group, growth.paces)]
    twin = type(optimizer)(groups, **{name: value for name, value in optimizer.defaults.items() if name in known})
    for old, state in optimizer.state.items():
        twin.state[moved[old]] = _states(state, growth.factors.get(moved[old], 1.0))
    return twin


def _by_pace(group: dict[str, Any], paces: Mapping[Tensor, tuple[float, float]]) -> Iterator[dict[str, Any]]:
    """Yield a group in parts, each with the learning rate and the ε that the new depth asks for."""
    parts: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in group["params"]:
        parts.setdefault(paces.get(parameter, (1.0, 1.0)), []).append(parameter)
    for (rate, epsilon), members in parts.items():
        factors = {"lr": rate, "initial_lr": rate, "eps": epsilon}
        yield {**group, **{name: group[name] * factor for name, factor in factors.items() if name in group}, "params": members}


def _states(state: Mapping[str, Any], factor: float) -> dict[str, Any]:
    copies = deepcopy(dict(state))
    for name, power in _POWERS.items():
        if factor != 1 and copies.get(name) is not None:
            copies[name] /= factor**power
    return copies
