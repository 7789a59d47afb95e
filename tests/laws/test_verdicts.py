"""A verdict depends on the network alone: not on the unit of the loss, the batch or its size."""

from collections.abc import Callable

import pytest
import torch
from tests.modules import Residual
from torch import nn
from torch.nn import functional as F

from fathometer import Mlp, build, preflight
from fathometer.data import digits
from fathometer.diagnosis import Preflight

DATA = digits()
BATCH = (DATA.train_inputs[:64], DATA.train_targets[:64])


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    """Return a user's module with a fixed start."""
    torch.manual_seed(0)
    return make()


def tanh(depth: int, gain: float) -> nn.Module:
    """Return plain tanh layers with weights of std gain/√fan_in."""
    return build(Mlp(depth=depth, activation="tanh", init="lecun", gain=gain))


# Away from the limits, one of each verdict and each family.
FAR_FROM_LIMITS: dict[str, Callable[[], nn.Module]] = {
    "torch tanh": lambda: build("tanh-50@depth=30"),
    "chaos": lambda: tanh(30, 3.0),
    "strong branches": lambda: seeded(lambda: Residual(30, 2.0)),
    "pre-norm": lambda: build("pre-norm-96@depth=24"),
    "five layers": lambda: build("mlp-5"),
    "batch norm": lambda: build(Mlp(depth=5, norm="batch")),
}


def causes(check: Preflight) -> tuple[str, list[str]]:
    """Return the verdict and the causes in order."""
    return check.verdict, [finding.cause for finding in check.findings]


@pytest.mark.parametrize("factor", [1e-6, 65536.0])
@pytest.mark.parametrize("name", FAR_FROM_LIMITS)
def test_the_scale_of_the_loss_changes_nothing(name: str, factor: float) -> None:
    """The verdict and the causes are those of the loss itself, whatever constant multiplies it."""
    check = preflight(FAR_FROM_LIMITS[name](), BATCH, loss_fn=F.cross_entropy)
    scaled = preflight(FAR_FROM_LIMITS[name](), BATCH, loss_fn=lambda output, targets: factor * F.cross_entropy(output, targets))

    assert causes(scaled) == causes(check)


# Not batch norm: over two samples it leaves a sign, and nothing passes back.
@pytest.mark.parametrize("name", [name for name in FAR_FROM_LIMITS if name != "batch norm"])
def test_two_samples_never_contradict_sixty_four(name: str) -> None:
    """With two samples the verdict is the same, or unknown; "unknown" is not said of a network that will not train."""
    many = preflight(FAR_FROM_LIMITS[name](), BATCH)
    two = preflight(FAR_FROM_LIMITS[name](), (BATCH[0][:2], BATCH[1][:2]))

    assert two.verdict in ((many.verdict,) if many.verdict == "will not train" else (many.verdict, "unknown"))


@pytest.mark.parametrize("name", ["torch tanh", "strong branches", "pre-norm", "five layers"])
def test_half_the_digits_make_the_same_verdict(name: str) -> None:
    """In bfloat16 the verdict and the first cause are those of float32."""
    inputs, targets = BATCH
    full = preflight(FAR_FROM_LIMITS[name](), BATCH)
    half = preflight(FAR_FROM_LIMITS[name]().bfloat16(), (inputs.bfloat16(), targets))

    assert (half.verdict, causes(half)[1][:1]) == (full.verdict, causes(full)[1][:1])


@pytest.mark.parametrize("outputs", [1, 2, 4])
def test_a_narrow_readout_is_no_collapse(outputs: int) -> None:
    """A shallow network with few outputs is healthy: two outputs cannot differ in more than two directions."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, outputs))
    targets = torch.randn(64, 1) if outputs == 1 else torch.randint(0, outputs, (64,))

    assert preflight(model, (torch.randn(64, 20), targets)).verdict == "healthy"
