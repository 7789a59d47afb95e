"""Faults of steps and of gradients from sample to sample are named, and their healthy twins stay silent."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import pytest
import torch
from torch import nn

from fathometer import Mlp, build, preflight
from fathometer.data import digits
from fathometer.diagnosis import Preflight

DATA = digits()
BATCH = (DATA.train_inputs[:64], DATA.train_targets[:64])
MANY = (DATA.train_inputs[:256], DATA.train_targets[:256])
Optimizer = Callable[[nn.Module], torch.optim.Optimizer]


def adam(rate: float) -> Optimizer:
    """Return what makes an Adam of that rate."""
    return lambda model: torch.optim.Adam(model.parameters(), lr=rate)


def sgd(rate: float) -> Optimizer:
    """Return what makes plain SGD of that rate."""
    return lambda model: torch.optim.SGD(model.parameters(), lr=rate)


@dataclass(frozen=True)
class Planted:
    """A step that does not fit, in three strengths; the one that does; and the network."""

    cause: str
    strengths: tuple[Optimizer, ...]
    twin: Optimizer
    spec: Mlp


STEPS: dict[str, Planted] = {
    "Adam, too large": Planted("update_size", (adam(100.0), adam(1.0), adam(0.1)), adam(1e-3), Mlp(depth=5)),
    "Adam, too small": Planted("update_size", (adam(1e-9), adam(1e-7), adam(1e-5)), adam(1e-3), Mlp(depth=5)),
    "SGD, too large": Planted("update_size", (sgd(100.0), sgd(10.0), sgd(1.0)), sgd(0.1), Mlp(depth=5)),
    "SGD, across a sharp valley": Planted("curvature", (sgd(1.0), sgd(0.7), sgd(0.55)), sgd(0.1), Mlp(depth=5, width=256)),
}


def with_optimizer(spec: Mlp, optimizer: Optimizer) -> Preflight:
    """Return the preflight of a network with its optimizer."""
    model = build(spec)
    return preflight(model, BATCH, optimizer=optimizer(model))


@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_does_not_fit_is_named_first(name: str, named_and_graded: Callable) -> None:
    """At three strengths the first finding is the step, and more of it is never judged milder."""
    planted = STEPS[name]
    named_and_graded((with_optimizer(planted.spec, make) for make in planted.strengths), (planted.cause,))


@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_fits_is_silent(name: str, silent: Callable) -> None:
    """At a usual rate the same network is healthy."""
    assert silent(with_optimizer(STEPS[name].spec, STEPS[name].twin))


@pytest.mark.parametrize(("gain", "severity"), [(3.0, "will not train"), (2.5, "will not train"), (2.0, "at risk")])
def test_shattered_gradients_are_named_behind_the_chaos_that_makes_them(gain: float, severity: str) -> None:
    """A thorough look at chaotic tanh layers finds the explosion first, and what it does to neighbours."""
    model = build(Mlp(depth=30, activation="tanh", init="lecun", gain=gain))
    check = preflight(model, BATCH, thorough=True)

    assert [finding.cause for finding in check.findings] == ["exploding_gradient", "shattered_gradients"]
    assert check.findings[1].severity == severity


@pytest.mark.parametrize("spec", [Mlp(depth=50, residual="scaled"), Mlp(depth=10, norm="batch"), Mlp(depth=10)], ids=str)
def test_gradients_that_are_not_shattered_are_silent(spec: Mlp, silent: Callable) -> None:
    """Beside a stream, or in ten layers, a thorough look finds nothing."""
    assert silent(preflight(build(spec), BATCH, thorough=True))


def test_batch_norm_without_skips_is_named_first(named_and_graded: Callable) -> None:
    """At 80, 60 and 30 layers the explosion is put down to BatchNorm."""
    checks = (preflight(build(Mlp(depth=depth, norm="batch")), MANY) for depth in (80, 60, 30))
    named_and_graded(checks, ("batchnorm_explosion",))


@pytest.mark.parametrize("spec", [Mlp(depth=40, norm="batch", residual="pre-norm"), Mlp(depth=5, norm="batch")], ids=str)
def test_batch_norm_beside_a_stream_or_in_few_layers_is_silent(spec: Mlp, silent: Callable) -> None:
    """A stream bounds the explosion, and five layers do not add up to one."""
    assert silent(preflight(build(spec), MANY))


def test_batch_norm_multiplies_the_gradient_by_yangs_number() -> None:
    """At width and batch 1,000 the norm of the gradient grows by √(π/(π - 1)) = 1.211 a layer (Yang et al. 2019)."""
    generator = torch.Generator().manual_seed(0)
    batch = (torch.randn(1000, 1000, generator=generator), torch.randint(0, 10, (1000,), generator=generator))
    model = build(Mlp(depth=30, width=1000, inputs=1000, norm="batch"))
    check = preflight(model, batch, thorough=False)
    gradient = check.profile.column("gradient")

    # From layer 6 to 26: the first layers have not met the limit yet, the last feel the readout.
    assert sqrt((gradient[5] / gradient[25]) ** (1 / 20)) == pytest.approx(1.211, abs=0.02)
    assert "batchnorm_explosion" in [finding.cause for finding in check.findings]
