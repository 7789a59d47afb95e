"""Every weight starts with the scale and the distribution that the spec asks for."""

import pytest
import torch
from torch import nn

from fathometer.networks import build, initialize
from fathometer.networks.initialize import fill
from fathometer.parametrizations import PARAMETRIZATIONS
from fathometer.spec import RESIDUAL_KINDS, Mlp


@pytest.mark.parametrize("kind", ["none", "plain", "deepnorm"])
@pytest.mark.parametrize("init", PARAMETRIZATIONS)
def test_every_matrix_has_the_std_of_the_table(init: str, kind: str, seed: int) -> None:
    """The root mean square of each matrix is the one that `Mlp.scale` names for its role."""
    layers = 1 if kind == "none" else 2
    spec = Mlp(depth=3, width=200, inputs=200, outputs=200, residual=kind, init=init, gain=1.5, branch_layers=layers)

    for role, matrix in build(spec, seed=seed).linears():
        expected = spec.scale(role, 200, 200).weight_std
        # The root mean square of 40,000 normal numbers is off by 1/√80,000 = 0.35%; 2% is more than five times that.
        assert matrix.weight.square().mean().sqrt().item() == pytest.approx(expected, rel=0.02)


def test_torchs_default_is_met(seed: int) -> None:
    """init="pytorch" has the bounds, the std and the shape of `torch.nn.Linear`'s own start, weights and biases."""
    mine = build(Mlp(depth=1, width=500, inputs=400, init="pytorch"), seed=seed).blocks[0].linear
    torch.manual_seed(seed)
    theirs = nn.Linear(400, 500)

    for ours, torchs, tolerance in ((mine.weight, theirs.weight, 0.01), (mine.bias, theirs.bias, 0.15)):
        bound = 400**-0.5
        assert ours.abs().max() <= bound
        # The largest of n uniform numbers falls short of the bound by about 1/n of it: 0.2% for 500 biases; 2% is ample.
        assert ours.abs().max().item() == pytest.approx(torchs.abs().max().item(), rel=0.02)
        # std over std: each is off by about 0.45/√n (n = 200,000 and 500), so 0.1% and 2%; several times that is allowed.
        assert ours.std().item() == pytest.approx(torchs.std().item(), rel=tolerance)
        # A uniform number has kurtosis 9/5, a normal one 3.
        kurtosis = ours.double().pow(4).mean() / ours.double().pow(2).mean() ** 2
        assert kurtosis.item() == pytest.approx(1.8, abs=0.2)


def test_another_start_is_told_from_torchs(seed: int) -> None:
    """He's matrices leave torch's bounds: the comparison above can fail."""
    other = build(Mlp(depth=1, width=500, inputs=400, init="he"), seed=seed).blocks[0].linear

    assert other.weight.abs().max() > 2 * 400**-0.5


@pytest.mark.parametrize("shape", [(40, 40), (30, 50), (50, 30)])
def test_orthogonal_matrices_are_orthogonal(shape: tuple[int, int], seed: int) -> None:
    """The rows or columns, whichever are fewer, are orthogonal; the std is the one asked for."""
    matrix = torch.empty(shape)
    fill(matrix, 0.1, "orthogonal", torch.Generator().manual_seed(seed))
    gram = matrix @ matrix.T if shape[0] <= shape[1] else matrix.T @ matrix

    # float32 rounding in sums of at most 50 products
    torch.testing.assert_close(gram, 0.01 * max(shape) * torch.eye(min(shape)), rtol=0, atol=1e-5)
    torch.testing.assert_close(matrix.square().mean().sqrt(), torch.tensor(0.1), rtol=1e-5, atol=0)


def test_biases_have_the_std_of_the_spec(seed: int) -> None:
    """`bias_std` sets the biases of every layer but the readout; without it He's biases are 0."""
    noisy = build(Mlp(depth=2, width=2000, bias_std=0.3), seed=seed)
    quiet = build(Mlp(depth=2, width=2000), seed=seed)

    # std of 2,000 normal numbers: off by 1.6%
    assert [block.linear.bias.std().item() for block in noisy.blocks] == pytest.approx([0.3, 0.3], rel=0.08)
    assert noisy.readout.bias.abs().max() == 0
    assert all(block.linear.bias.abs().max() == 0 for block in quiet.blocks)


@pytest.mark.parametrize("kind", RESIDUAL_KINDS)
def test_initialising_again_undoes_training(kind: str, seed: int) -> None:
    """The same seed gives the same network, whatever was in it: norms, learned scales and gates as well."""
    spec = Mlp(depth=3, width=16, residual=kind, norm="batch" if kind == "none" else None)
    fresh, used = build(spec, seed=seed), build(spec, seed=seed + 1)
    with torch.no_grad():
        for tensor in (*used.parameters(), *used.buffers()):
            tensor.fill_(7)
    initialize(used, torch.Generator().manual_seed(seed))

    assert fresh.state_dict().keys() == used.state_dict().keys()
    assert all(torch.equal(value, used.state_dict()[name]) for name, value in fresh.state_dict().items())
