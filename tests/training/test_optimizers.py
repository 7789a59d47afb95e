"""Optimizers are the ones asked for, over what is not frozen."""

import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

from fathometer.errors import ModelError, SpecError
from fathometer.parametrizations import Scale
from fathometer.records import Asked
from fathometer.training import OPTIMIZERS, make_optimizer, set_rates


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)])
def test_the_optimizer_has_what_was_asked_for(name: str, kind: type) -> None:
    """Name, rate, decay and momentum arrive; the step is fused."""
    asked = Asked(optimizer=name, learning_rate=0.02, weight_decay=0.3, momentum=0.5 if name == "sgd" else 0.0)
    optimizer = make_optimizer(nn.Linear(2, 2), asked)
    group = optimizer.param_groups[0]

    assert type(optimizer) is kind
    assert (group["lr"], group["weight_decay"], group["fused"]) == (0.02, 0.3, True)
    assert group.get("momentum", 0.0) == asked.momentum


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"muon"}))
def test_the_fused_step_equals_the_plain_one(name: str, seed: int) -> None:
    """Ten fused steps end where ten steps of torch's for-loop end."""
    torch.manual_seed(seed)
    fused, plain = nn.Linear(8, 8), nn.Linear(8, 8)
    plain.load_state_dict(fused.state_dict())
    slow = OPTIMIZERS[name](plain.parameters(), lr=1e-3, weight_decay=0.1, foreach=False)
    optimizers = [make_optimizer(fused, Asked(optimizer=name, weight_decay=0.1)), slow]
    for _ in range(10):
        inputs = torch.randn(4, 8)
        for model, optimizer in zip((fused, plain), optimizers, strict=True):
            optimizer.zero_grad()
            model(inputs).square().sum().backward()
            optimizer.step()

    # Rounding differs by some 1e-7 a step in float32; one step of Adam is 1e-3.
    torch.testing.assert_close(fused.weight, plain.weight, rtol=0, atol=2e-6)


def test_frozen_parameters_are_left_out() -> None:
    """Only parameters that need a gradient are given to the optimizer; with none there is nothing to do."""
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    assert len(make_optimizer(model, Asked()).param_groups[0]["params"]) == 1

    model.weight.requires_grad_(False)
    with pytest.raises(ModelError, match="requires_grad"):
        make_optimizer(model, Asked())


def test_an_unknown_name_is_an_error_with_the_nearest_right_one() -> None:
    """A slip of the pen is answered with what was probably meant."""
    with pytest.raises(SpecError, match='Did you mean "adamw"'):
        make_optimizer(nn.Linear(2, 2), Asked(optimizer="adamww"))


def test_a_setting_that_is_not_used_is_warned_of() -> None:
    """Adam has its own momentum: one that was asked for is not dropped in silence, and SGD's is used in silence."""
    with pytest.warns(UserWarning, match="adam does not use"):
        make_optimizer(nn.Linear(2, 2), Asked(optimizer="adam", momentum=0.9))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_optimizer(nn.Linear(2, 2), Asked(optimizer="sgd", momentum=0.9))


def test_parameters_with_the_same_multipliers_make_one_group() -> None:
    """Rate, decay and ε of each group are the asked ones times its multipliers; what has no scale has none."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    quarter = Scale(0.1, learning_rate_multiplier=0.25, weight_decay_multiplier=4.0, epsilon_multiplier=0.5)
    scales = {"0.weight": quarter, "1.weight": replace(quarter, weight_std=0.3, multiplier=0.2), "2.weight": Scale(0.1)}
    optimizer = make_optimizer(model, Asked(optimizer="adamw", learning_rate=0.01, weight_decay=0.1), scales)
    groups = [(group["lr"], group["weight_decay"], group["eps"], len(group["params"])) for group in optimizer.param_groups]

    assert groups == [(0.0025, 0.4, 5e-9, 2), (0.01, 0.1, 1e-8, 4)]


def test_a_schedule_keeps_the_groups_apart() -> None:
    """Half the rate is half of each group's own."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    asked = Asked(learning_rate=0.01, warmup=2)
    optimizer = make_optimizer(model, asked, {"0.weight": Scale(0.1, learning_rate_multiplier=0.5)})
    set_rates(optimizer, 0, asked)

    assert [group["lr"] for group in optimizer.param_groups] == [0.0025, 0.005]


def test_multipliers_for_adam_are_refused_with_sgd() -> None:
    """SGD's own rule is another one; scales without multipliers are welcome."""
    model, asked = nn.Linear(2, 2), Asked(optimizer="sgd")
    with pytest.raises(SpecError, match="made for Adam"):
        make_optimizer(model, asked, {"weight": Scale(0.1, learning_rate_multiplier=0.5)})
    assert len(make_optimizer(model, asked, {"weight": Scale(0.1, multiplier=0.5)}).param_groups) == 1
