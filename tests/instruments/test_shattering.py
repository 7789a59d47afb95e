"""Gradients of neighbours: the same as by hand, and unknown where they cannot be known."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.instruments import DepthPoint
from fathometer.instruments.shattering import DISTANCES, Shattering, gradient_reach, neighbours

SAMPLES, WIDTH = 16, 12
FIRST = DepthPoint("blocks.0", ("blocks.0",))


class Net(nn.Module):
    """A stem, two residual blocks and a readout; the blocks write into what enters them if asked."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Linear(5, WIDTH)
        self.blocks = nn.ModuleList(nn.Sequential(activation, nn.Linear(WIDTH, WIDTH)) for _ in range(2))
        self.readout = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.readout(x)


class Tokens(nn.Module):
    """Tokens, an encoder layer as the only block, and a readout at every place."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, WIDTH)
        self.blocks = nn.ModuleList([nn.TransformerEncoderLayer(WIDTH, 2, 12, dropout=0.1, batch_first=True)])
        self.readout = nn.Linear(WIDTH, 9)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.readout(self.blocks[0](self.embed(tokens)))


class Chance(nn.Module):
    """A layer that draws numbers and is not a dropout module."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.randn_like(x)


def twin(model: Net, inputs: Tensor, num: int, distance: float) -> float:
    """Return the mean cosine of the two gradients, each from a batch of its own."""
    entering = model.stem(inputs[:num]).detach()
    direction = torch.randn(3, generator=torch.Generator().manual_seed(0))

    def gradient(x: Tensor) -> Tensor:
        leaf = x.clone().requires_grad_()
        y = leaf.clone()
        for block in model.blocks:
            y = block(y)
        return torch.autograd.grad((model.readout(y) * direction).sum(), leaf)[0]

    other = gradient(neighbours(entering.double(), (distance,)).float())
    return float(F.cosine_similarity(gradient(entering), other, dim=1).mean())


@pytest.mark.parametrize("activation", [nn.Tanh(), nn.ReLU(), nn.ReLU(inplace=True)], ids=["tanh", "relu", "in place"])
def test_correlations_equal_those_by_hand(activation: nn.Module) -> None:
    """One pass over samples, copies and neighbours equals a pass for each; also if the first block writes into its input."""
    torch.manual_seed(0)
    model, inputs = Net(activation), torch.randn(SAMPLES, 5)
    found = gradient_reach(model, inputs, FIRST)

    assert found is not None
    assert found.distances == DISTANCES
    # 16 samples and 8 places: four samples. float32 adds in another order in a larger batch.
    assert found.correlations == pytest.approx([twin(model, inputs, 4, distance) for distance in DISTANCES], abs=2e-5)


def test_neighbours_are_as_far_as_they_should_be() -> None:
    """Each has the length of its sample and the asked correlation with it, also in a batch of equal samples."""
    torch.manual_seed(0)
    for samples in (torch.randn(4, 3, 7).double(), torch.ones(4, 3, 7).double()):
        moved = neighbours(samples, (0.0, 0.5, 1e-6)).reshape(3, 4, 21)
        flat = samples.reshape(4, 21)

        assert torch.allclose(moved.norm(dim=2), flat.norm(dim=1).expand(3, 4))
        cosines = F.cosine_similarity(moved, flat.expand(3, 4, 21), dim=2)
        torch.testing.assert_close(
            1 - cosines, torch.tensor([0.0, 0.5, 1e-6]).double()[:, None].expand(3, 4), rtol=1e-6, atol=1e-12
        )


def test_tokens_have_neighbours_too() -> None:
    """Activations are moved, not tokens; tokens, weights and modes stay as they are; dropout does not disturb."""
    torch.manual_seed(0)
    model, tokens = Tokens(), torch.randint(0, 9, (SAMPLES, 6))
    before, state = tokens.clone(), {name: value.clone() for name, value in model.state_dict().items()}
    found = gradient_reach(model, tokens, FIRST)

    assert found is not None
    assert found.correlations[-1] > 0.99
    assert found.correlations[0] < found.correlations[-1]
    assert torch.equal(before, tokens)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_inputs_that_enter_the_first_block_stay_as_they_are() -> None:
    """Also where the first block takes the batch itself."""
    torch.manual_seed(0)
    model, inputs = nn.Sequential(nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 3)), torch.randn(SAMPLES, 5)
    before = inputs.clone()
    found = gradient_reach(model, inputs, DepthPoint("0", ("0", "1")))

    assert found is not None
    assert torch.equal(before, inputs)
    assert not inputs.requires_grad


def test_reach_is_where_half_is_left() -> None:
    """Interpolated over the logarithm of the distance; held to the distances that were looked at."""
    assert Shattering((1e-1, 1e-2, 1e-3), (0.25, 0.75, 1.0)).reach == pytest.approx(10**-1.5)
    assert Shattering((1e-1, 1e-2), (0.6, 0.9)).reach == 1e-1
    assert Shattering((1e-1, 1e-2), (0.0, 0.1)).reach == 1e-2


def test_chance_and_zeros_are_unknown() -> None:
    """Copies of one sample that disagree, gradients of zero, one sample alone, a first block that sees no numbers."""
    torch.manual_seed(0)
    inputs, dead = torch.randn(SAMPLES, 5), Net(nn.Tanh())
    nn.init.zeros_(dead.readout.weight)

    assert gradient_reach(Net(Chance()), inputs, FIRST) is None
    assert gradient_reach(dead, inputs, FIRST) is None
    assert gradient_reach(Net(nn.Tanh()), inputs[:1], FIRST) is None
    assert gradient_reach(Tokens(), torch.randint(0, 9, (SAMPLES, 6)), DepthPoint("embed", ("embed",))) is None
    assert gradient_reach(Net(nn.Tanh()), inputs, FIRST) is not None


def test_coarse_numbers_have_no_close_neighbours() -> None:
    """In bfloat16 a neighbour must be 8 rounding errors away: 1 - c at least (8 · 2⁻⁷)²/2 = 0.002."""
    torch.manual_seed(0)
    found = gradient_reach(Net(nn.Tanh()).bfloat16(), torch.randn(SAMPLES, 5).bfloat16(), FIRST)

    assert found is not None
    assert found.distances == (1e-1, 1e-2)


def test_frozen_networks_have_input_gradients_too() -> None:
    """What enters needs no gradient of its own."""
    torch.manual_seed(0)
    model, inputs = Net(nn.Tanh()), torch.randn(SAMPLES, 5)
    free = gradient_reach(model, inputs, FIRST)
    assert free == gradient_reach(model.requires_grad_(False), inputs, FIRST)
