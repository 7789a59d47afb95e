"""Every weight starts with the scale and the distribution that the spec asks for."""

import pytest
import torch
from torch import nn

from fathometer.networks import build, initialize
from fathometer.networks.initialize import fill
from fathometer.networks.roles import fans
from fathometer.parametrizations import PARAMETRIZATIONS
from fathometer.spec import RESIDUAL_KINDS, ConvNet, Mlp, Spec, Transformer
from fathometer.spec.transformer import TRANSFORMER_KINDS


@pytest.mark.parametrize("kind", ["none", "plain", "deepnorm"])
@pytest.mark.parametrize("init", PARAMETRIZATIONS)
def test_every_matrix_has_the_std_of_the_table(init: str, kind: str, seed: int) -> None:
    """The root mean square of each matrix is the one that `Mlp.scale` names for its role."""
    layers = 1 if kind == "none" else 2
    spec = Mlp(depth=3, width=200, inputs=200, outputs=200, residual=kind, init=init, gain=1.5, branch_layers=layers)

    for role, matrix in build(spec, seed=seed).matrices():
        expected = spec.scale(role, 200, 200).weight_std
        # The root mean square of 40,000 normal numbers is off by 1/√80,000 = 0.35%; 2% is more than five times that.
        assert matrix.weight.square().mean().sqrt().item() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("residual", ["pre-norm", "deepnorm"])
@pytest.mark.parametrize("init", PARAMETRIZATIONS)
def test_every_matrix_of_a_transformer_has_the_std_of_the_table(init: str, residual: str, seed: int) -> None:
    """Embeddings, queries and keys, values, outputs and the readout each have the std that `Transformer.scale` names."""
    shape = {"depth": 2, "width": 128, "heads": 4, "kv_heads": 2, "vocabulary": 300, "context": 100, "tied": False}
    check_stds(Transformer(**shape, residual=residual, gated=True, init=init, base_width=32, base_depth=1), seed)


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize("init", PARAMETRIZATIONS)
def test_every_convolution_has_the_std_of_the_table(init: str, block: str, seed: int) -> None:
    """Stem, convolutions, projections and the readout each have the std that `ConvNet.scale` names."""
    depth, stages = (8, (1, 1, 1)) if block == "basic" else (11, (1, 1, 1))
    check_stds(ConvNet(depth=depth, stages=stages, block=block, width=32, classes=50, channels=12, init=init, shortcut="B"), seed)


def check_stds(spec: Spec, seed: int) -> None:
    """Hold the root mean square of every matrix against the table."""
    for role, matrix in build(spec, seed=seed).matrices():
        expected = spec.scale(role, *fans(matrix)).weight_std
        # The root mean square of n normal numbers is off by 1/√(2n): 1.2% for the smallest, of 3,456; 6% is five times that.
        assert matrix.weight.square().mean().sqrt().item() == pytest.approx(expected, rel=0.06)


def test_gpt2_starts_what_is_added_smaller(seed: int) -> None:
    """GPT-2 draws from N(0, .02), and what is added to the stream of 12 blocks from N(0, .02/√24); norms start at 1."""
    model = build("gpt2@width=128,vocabulary=1000", seed=seed)
    branch = model.blocks[3].attention.branch

    # 16,384 normal numbers: off by 0.6%
    assert branch.query.weight.std().item() == pytest.approx(0.02, rel=0.03)
    assert branch.output.weight.std().item() == pytest.approx(0.02 / 24**0.5, rel=0.03)
    assert (model.final_norm.weight == 1).all()
    assert (branch.query.bias == 0).all()


def test_a_convolution_can_be_orthogonal(seed: int) -> None:
    """As a matrix (out, in·k·k) its rows are orthogonal, with the std asked for."""
    kernel = torch.empty(6, 4, 3, 3)
    fill(kernel, 0.1, "orthogonal", torch.Generator().manual_seed(seed))
    rows = kernel.flatten(1)

    # float32 rounding in sums of 36 products
    torch.testing.assert_close(rows @ rows.T, 0.01 * 36 * torch.eye(6), rtol=0, atol=1e-5)


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


SPECS: dict[str, Spec] = {
    **{f"mlp {kind}": Mlp(depth=3, width=16, residual=kind, norm="batch" if kind == "none" else None) for kind in RESIDUAL_KINDS},
    **{
        f"transformer {kind}": Transformer(depth=2, width=8, vocabulary=9, context=5, residual=kind, qk_norm=True, norm="rms")
        for kind in TRANSFORMER_KINDS
    },
    "convnet": ConvNet(depth=8, width=4, zero_init_last=True),
    "convnet layer": ConvNet(depth=8, width=4, norm="layer"),
    "convnet without norm": ConvNet(depth=8, width=4, norm=None, shortcut="B"),
}


@pytest.mark.parametrize("name", SPECS)
def test_initialising_again_undoes_training(name: str, seed: int) -> None:
    """The same seed gives the same network, whatever was in it: norms, learned scales and gates as well."""
    spec = SPECS[name]
    fresh, used = build(spec, seed=seed), build(spec, seed=seed + 1)
    with torch.no_grad():
        for tensor in (*used.parameters(), *used.buffers()):
            tensor.fill_(7)
    initialize(used, torch.Generator().manual_seed(seed))

    assert fresh.state_dict().keys() == used.state_dict().keys()
    assert all(torch.equal(value, used.state_dict()[name]) for name, value in fresh.state_dict().items())
