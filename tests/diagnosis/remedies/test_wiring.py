"""Another activation, norm or path: each changes what it says, and nothing else."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from fathometer.diagnosis.remedies.wiring import (
    Normed,
    Residual,
    ScaledBranch,
    add_norm,
    add_residual,
    scale_branches,
    swap_activation,
)


def stack() -> nn.Sequential:
    """Return four layers of two widths with ReLU between them."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 2))


X = torch.linspace(-2, 2, 24).reshape(4, 6)


def test_every_activation_is_swapped_also_a_shared_one() -> None:
    """All places of one class get a new module of their own, also where one module served several."""
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(6, 5), relu, nn.ModuleDict({"a": relu})["a"], nn.Tanh())

    swap_activation(model, nn.ReLU, nn.GELU)

    assert [type(module) for module in model] == [nn.Linear, nn.GELU, nn.GELU, nn.Tanh]
    assert model[1] is not model[2]


def test_a_residual_is_x_plus_f() -> None:
    """Where the shape is kept the input is added; where it is not, the layers are as they were."""
    model, plain = stack(), stack()

    add_residual(model, [["0", "1"], ["2", "3"], ["4", "5"]], scale=0.5)

    x = plain[1](plain[0](X))
    x = x + 0.5 * plain[3](plain[2](x))
    x = x + 0.5 * plain[5](plain[4](x))
    assert torch.equal(model(X), plain[6](x))


def test_a_scaled_branch_is_x_plus_a_part_of_what_it_did() -> None:
    """A block's change is multiplied; with 1 it is the block, with 0 the identity."""
    block = Residual(nn.Linear(6, 6))
    for scale in (0.0, 0.25, 1.0):
        expected = X + scale * block.branch(X)
        torch.testing.assert_close(ScaledBranch(block, scale)(X), expected)
    model = nn.ModuleDict({"blocks": nn.ModuleList([block])})
    assert isinstance(scale_branches(model, ["blocks.0"], 0.25).get_submodule("blocks.0"), ScaledBranch)


def test_other_arguments_pass_through() -> None:
    """A block that takes a mask, by position or by name, still gets it."""

    class Masked(nn.Module):
        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return x * mask

    mask = torch.full_like(X, 3.0)
    assert torch.equal(Residual(Masked(), scale=2.0)(X, mask), X + 2.0 * X * 3)
    assert torch.equal(ScaledBranch(Masked(), 0.5)(X, mask=mask), X + 0.5 * (3 * X - X))


def test_of_a_tuple_the_first_part_is_the_signal() -> None:
    """A block that also returns a state keeps it as it is."""

    class Two(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, str]:
            return 3 * x, "state"

    for wrapped, factor in ((Residual(Two(), scale=2.0), 7.0), (ScaledBranch(Two(), 0.5), 2.0)):
        y, state = wrapped(X)
        torch.testing.assert_close(y, factor * X)
        assert state == "state"


def test_what_a_model_reads_of_a_block_it_reads_of_what_wraps_it() -> None:
    """Attributes are those of the block or layer, also after a copy; what neither has is an error as ever."""
    layer = nn.Linear(6, 6)
    for wrapper in (Residual(layer), ScaledBranch(layer, 0.5), Normed(layer)):
        copy = deepcopy(wrapper)
        assert wrapper.in_features == 6
        assert wrapper.weight is layer.weight
        assert torch.equal(copy.weight, layer.weight)
        assert copy.weight is not layer.weight
        with pytest.raises(AttributeError, match="nothing"):
            wrapper.nothing  # noqa: B018


def test_a_norm_goes_in_front() -> None:
    """The layer sees its input normalised, on the layer's device and in its type."""
    model, plain = stack().bfloat16(), stack().bfloat16()
    x = X.bfloat16()

    add_norm(model, ["2"])

    expected = plain[3:](plain[2](nn.functional.layer_norm(plain[:2](x), (5,))))
    assert torch.equal(model(x), expected)
