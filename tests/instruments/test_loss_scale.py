"""The scale of the loss leaves every number as it is."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.instruments import Sounding, find_depth_points, listen, sound

TARGETS = torch.arange(24) % 3


def sounded(model: nn.Module, x: Tensor, loss_of: object) -> Sounding:
    """Return the sounding of a model with this loss."""
    trace: list[tuple[str, int]] = []
    with torch.no_grad(), listen(model, on_call=lambda call: trace.append((call.name, call.index))):
        model(x)
    return sound(model, lambda: model(x), loss_of, find_depth_points(model, trace), num_samples=len(x))


def network(dtype: torch.dtype = torch.float32) -> tuple[nn.Module, Tensor]:
    """Return six tanh layers with a readout, and inputs."""
    torch.manual_seed(0)
    layers = [module for _ in range(6) for module in (nn.Linear(16, 16), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(16, 3)).to(dtype), torch.randn(24, 16).to(dtype)


@dataclass
class Output:
    """What models of another library return."""

    loss: Tensor
    logits: Tensor


class Inside(nn.Module):
    """A network that computes its own loss, and hands on its logits, a copy of them, or nothing else."""

    def __init__(self, factor: float, kind: str) -> None:
        super().__init__()
        self.factor, self.kind = factor, kind
        self.layers = network()[0]

    def forward(self, x: Tensor) -> object:
        logits = self.layers(x)
        loss = self.factor * F.cross_entropy(logits, TARGETS)
        return {"logits": Output(loss, logits), "copy": Output(loss, logits.detach().clone()), "loss": loss}[self.kind]


def loss_inside(output: object) -> Tensor:
    """Return the loss that the model has made."""
    return output.loss if isinstance(output, Output) else output


def columns(factor: float, kind: str | None, dtype: torch.dtype = torch.float32) -> dict[str, list[float | None]]:
    """Return all columns for the loss times a factor, made outside or inside the model."""
    model, x = network(dtype)
    if kind is None:
        return sounded(model, x, lambda output: factor * F.cross_entropy(output, TARGETS)).columns
    return sounded(Inside(factor, kind), x, loss_inside).columns


@pytest.mark.parametrize("kind", [None, "logits", "copy", "loss"], ids=str)
@pytest.mark.parametrize("factor", [2.0**-20, 65536.0, 1e-6, 3.0])
def test_columns_do_not_depend_on_the_scale(factor: float, kind: str | None) -> None:
    """A power of two changes no bit, another factor no more than rounding does, wherever the loss is made."""
    plain, scaled = columns(1.0, kind), columns(factor, kind)

    assert set(plain) == set(scaled)
    for column, numbers in plain.items():
        if factor in (2.0**-20, 65536.0):
            assert numbers == scaled[column], column
        else:
            # One rounding of float32 (1e-7) at the loss, passed back through seven layers; a cosine is a part of 1.
            part_of_one = 1e-5 if "correlation" in column else 0
            assert numbers == [None if n is None else pytest.approx(n, rel=1e-5, abs=part_of_one) for n in scaled[column]], column


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
def test_nor_in_other_types(dtype: torch.dtype) -> None:
    """The same holds, bit for bit, in bfloat16 and float64."""
    assert columns(1.0, None, dtype) == columns(65536.0, None, dtype)


def test_where_the_loss_is_made_does_not_matter() -> None:
    """A loss inside the model gives the columns of the same loss outside."""
    assert columns(1.0, "logits") == columns(1.0, None)


def test_gradients_are_relative_to_the_output() -> None:
    """At the readout, where it is a depth point, the gradient's second moment is 1 by definition."""
    model, x = network()
    trace: list[tuple[str, int]] = []
    with torch.no_grad(), listen(model, on_call=lambda call: trace.append((call.name, call.index))):
        model(x)
    points = find_depth_points(model, trace, ["*"])
    sounding = sound(model, lambda: model(x), lambda output: 7 * output.square().mean(), points)

    assert sounding.columns["gradient"][-1] == pytest.approx(1, rel=1e-6)


def test_gradients_survive_where_half_precision_ends() -> None:
    """A loss times 1e-6 in float16 is scaled by no more than that type can hold."""
    model, x = network(torch.float16)
    got = sounded(model, x, lambda output: 2.0**-10 * output.float().square().mean().half()).columns["gradient"]
    plain = sounded(model, x, lambda output: output.float().square().mean().half()).columns["gradient"]

    assert got == [pytest.approx(value, rel=0.1) for value in plain]  # float16 underflows in part, it does not overflow


@pytest.mark.parametrize(
    "loss_of", [lambda output: 0 * output.sum(), lambda output: output.sum() * float("nan")], ids=["0", "nan"]
)
def test_a_loss_without_a_size_is_not_scaled(loss_of: object) -> None:
    """A gradient of 0 or NaN has no scale: it goes in as it is."""
    model, x = network()
    assert sounded(model, x, loss_of).scale == 1.0
