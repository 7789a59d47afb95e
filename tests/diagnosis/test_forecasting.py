"""Where theory reaches a user's own network, and where it must keep silent."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fathometer.diagnosis import preflight

Pair = tuple[Tensor, Tensor]
Plain = Callable[..., nn.Sequential]


def wide(activation: Callable[[], nn.Module], depth: int = 5, width: int = 256) -> nn.Sequential:
    """Return a plain stack that is wide for its depth."""
    torch.manual_seed(0)
    layers = [part for _ in range(depth) for part in (nn.Linear(width, width), activation())]
    return nn.Sequential(*layers, nn.Linear(width, 4))


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU, nn.GELU])
def test_a_plain_stack_is_forecast(activation: Callable[[], nn.Module]) -> None:
    """Anybody's stack of linear layers is forecast from its weights, and the measured signal is close."""
    torch.manual_seed(1)
    check = preflight(wide(activation), (torch.randn(64, 256), torch.randint(0, 4, (64,))))

    assert check.forecast is not None
    # Depth over width is 0.02: one network of this width strays by a few percent from the mean of all.
    assert check.profile.column("signal") == pytest.approx(check.forecast.column("signal"), rel=0.2)


@pytest.mark.parametrize(
    "activation", [lambda: nn.LeakyReLU(0.3), lambda: nn.ELU(alpha=2.0), nn.Softplus], ids=["leaky 0.3", "ELU 2", "softplus"]
)
def test_another_slope_has_no_forecast(activation: Callable[[], nn.Module], batch: Pair) -> None:
    """An activation with other numbers than torch's own is not taken for the known one."""
    check = preflight(wide(activation, width=16), batch)

    assert check.forecast is None


class Skips(nn.Module):
    """A sum around each layer, which no list of modules shows."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(16, 16), nn.Tanh()) for _ in range(4))
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


def test_what_is_not_a_plain_stack_has_no_forecast(plain: Plain, batch: Pair) -> None:
    """A branch around the layers, dropout between them, or inputs of zeros: "no forecast"; and the plain twin has one."""
    dropped = nn.Sequential(*[part for pair in zip(plain()[:-1:2], plain()[1::2], strict=True) for part in (*pair, nn.Dropout())])

    assert preflight(Skips(), batch).forecast is None
    assert preflight(nn.Sequential(*dropped, nn.Linear(16, 4)), batch).forecast is None
    assert preflight(plain(), (torch.zeros(32, 16), batch[1])).forecast is None
    assert preflight(plain(), batch).forecast is not None


def test_a_spec_with_other_weights_has_no_forecast() -> None:
    """A residual network is forecast from its spec as long as its weights still have the spec's spread."""
    from fathometer.networks import build

    model = build("residual-50@depth=6")
    before = preflight(model).forecast
    with torch.no_grad():
        for parameter in model.blocks.parameters():
            parameter.mul_(3)

    assert before is not None
    assert preflight(model).forecast is None
