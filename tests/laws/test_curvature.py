"""Where steps begin to run away: the limits of sharpness, tried on a quadratic."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from fathometer.instruments.curvature import loss_curvature

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9),
    "nesterov": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, nesterov=True),
}


def regression() -> tuple[nn.Module, Any, Any]:
    """Return a linear network and a squared error: a quadratic, with the same curvature everywhere."""
    torch.manual_seed(0)
    model, inputs, targets = nn.Linear(6, 1, bias=False).double(), torch.randn(30, 6).double(), torch.randn(30, 1).double()
    return model, lambda: model(inputs), lambda output: (output - targets).square().mean()


def adam(parameters: Any, lr: float) -> torch.optim.Adam:
    """Return Adam as after long training: its second moments are given, uneven, and stay."""
    (parameter,) = parameters = list(parameters)
    optimizer = torch.optim.Adam(parameters, lr=lr, betas=(0.9, 1 - 1e-15), eps=0.0)
    uneven = torch.linspace(0.5, 2.0, parameter.numel()).double().view_as(parameter) ** 2
    # So many steps that neither average is corrected for its start any more.
    step = torch.tensor(1e17, dtype=torch.float64)
    optimizer.state[parameter] = {"step": step, "exp_avg": torch.zeros_like(parameter), "exp_avg_sq": uneven}
    return optimizer


def runs_away(name: str, share: float) -> bool:
    """Return whether a hundred steps at this share of the limit end above where they began."""
    model, run, loss_of = regression()
    make = {**OPTIMIZERS, "adam": adam}[name]
    found = loss_curvature(model, run, loss_of, make(model.parameters(), lr=1.0), num_products=6)
    assert found is not None
    assert found.ratio is not None
    optimizer = make(model.parameters(), lr=share / found.ratio)
    start = loss_of(run()).item()
    for _ in range(100):
        optimizer.zero_grad()
        loss_of(run()).backward()
        optimizer.step()
    return not loss_of(run()).item() < start


@pytest.mark.parametrize("name", [*OPTIMIZERS, "adam"])
def test_steps_run_away_just_beyond_the_limit(name: str) -> None:
    """At 98% of the limit a quadratic is learnt, at 102% it is not: 2/rate, (2 + 2β)/rate, 38/rate for Adam.

    Cohen et al. 2021 and 2022. The first of each pair is the control.
    """
    assert [runs_away(name, share) for share in (0.98, 1.02)] == [False, True]
