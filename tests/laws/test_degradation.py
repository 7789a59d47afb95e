"""Degradation: what a plain deep network cannot even fit, the same depth with a stream can (He et al. 2016)."""

import pytest
import torch
from torch.nn import functional as F

from fathometer import Mlp, build, preflight
from fathometer.data import digits

DATA = digits()
DEPTH, STEPS, RATE = 64, 300, 1e-3


def last_training_loss(residual: str) -> float:
    """Return the mean of the last twenty training losses of Adam on 64 layers."""
    model = build(Mlp(depth=DEPTH, residual=residual))
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    generator, losses = torch.Generator().manual_seed(0), []
    for _ in range(STEPS):
        rows = torch.randint(0, len(DATA.train_inputs), (64,), generator=generator)
        loss = F.cross_entropy(model(DATA.train_inputs[rows]), DATA.train_targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return sum(losses[-20:]) / 20


@pytest.mark.slow
def test_the_plain_network_cannot_fit_what_the_residual_one_fits() -> None:
    """After 300 steps the training loss is over 0.5 in the plain network and under 0.05 beside a stream (facts: 1.48, < .01)."""
    assert last_training_loss("none") > 0.5
    assert last_training_loss("scaled") < 0.05


@pytest.mark.parametrize(("residual", "healthy"), [("none", False), ("scaled", True)])
def test_preflight_tells_them_apart_before_training(residual: str, healthy: bool) -> None:
    """The plain network is warned of, its residual twin is not."""
    check = preflight(build(Mlp(depth=DEPTH, residual=residual)), (DATA.train_inputs[:64], DATA.train_targets[:64]))

    assert (check.verdict == "healthy") is healthy
