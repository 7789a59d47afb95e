"""Each residual block computes the formula that its kind promises."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.networks import PlainBlock, ResidualBlock, build
from fathometer.spec import RESIDUAL_KINDS, Mlp

WIDTH, DEPTH = 12, 4
Step = Callable[[Tensor, Tensor], Tensor]


def norm(stream: Tensor) -> Tensor:
    """Return the layer norm without gain and bias."""
    return F.layer_norm(stream, (WIDTH,))


def written_out(spec: Mlp, matrices: list[nn.Linear], stream: Tensor) -> Tensor:
    """Compute one block by hand, straight from the table of RESIDUAL_KINDS."""

    def branch(signal: Tensor) -> Tensor:
        for matrix in matrices:
            signal = torch.tanh(signal) @ matrix.weight.T + matrix.bias
        return signal

    alpha, gate = spec.branch_scale, torch.sigmoid(torch.tensor(-2.0, dtype=torch.float64))
    return {
        "plain": lambda x: x + alpha * branch(x),
        "scaled": lambda x: x + branch(x) / DEPTH**0.5,
        "pre-norm": lambda x: x + alpha * branch(norm(x)),
        "post-norm": lambda x: norm(x + alpha * branch(x)),
        "peri-norm": lambda x: x + alpha * norm(branch(norm(x))),
        "rezero": lambda x: x,
        "layerscale": lambda x: x + 0.1 * branch(x),
        "deepnorm": lambda x: norm(DEPTH**0.25 * x + branch(x)),
        "highway": lambda x: (1 - gate) * x + gate * branch(x),
    }[spec.residual](stream)


@pytest.mark.parametrize("branch_layers", [1, 3])
@pytest.mark.parametrize("kind", [kind for kind in RESIDUAL_KINDS if kind != "none"])
def test_a_block_equals_its_formula_written_out(kind: str, branch_layers: int, seed: int) -> None:
    """At initialisation every kind of block is its line in the table of kinds."""
    scale = 1.0 if kind == "deepnorm" else 0.5
    spec = Mlp(
        depth=DEPTH, width=WIDTH, residual=kind, activation="tanh", branch_layers=branch_layers, branch_scale=scale, bias_std=0.1
    )
    block = build(spec, seed=seed, dtype=torch.float64).blocks[1]
    assert isinstance(block, ResidualBlock)
    stream = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    expected = written_out(spec, [part for part in block.branch.modules() if isinstance(part, nn.Linear)], stream)

    # Double precision; only the order of additions differs.
    torch.testing.assert_close(block(stream), expected, rtol=1e-10, atol=1e-12)
    assert kind == "rezero" or not torch.allclose(block(stream), stream)


@pytest.mark.parametrize("kind", [None, "layer", "rms", "batch"])
def test_a_plain_block_norms_before_the_activation(kind: str | None, seed: int) -> None:
    """Without a residual stream a block is φ(norm(W h + b))."""
    block = build(Mlp(depth=2, width=WIDTH, activation="tanh", norm=kind), seed=seed).blocks[1]
    assert isinstance(block, PlainBlock)
    signal = torch.randn(6, WIDTH, generator=torch.Generator().manual_seed(seed))
    preactivation = signal @ block.linear.weight.T + block.linear.bias

    torch.testing.assert_close(block(signal), torch.tanh(block.norm(preactivation)))


@pytest.mark.parametrize(("kind", "shape"), [("rezero", ()), ("layerscale", (WIDTH,))])
def test_a_learned_scale_is_a_parameter_that_gets_a_gradient(kind: str, shape: tuple[int, ...], seed: int) -> None:
    """ReZero's α and LayerScale's λ start where they should and can leave it."""
    spec = Mlp(depth=20, width=WIDTH, inputs=WIDTH, residual=kind)
    model = build(spec, seed=seed)
    scale = model.blocks[0].branch_scale
    model(torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(seed))).square().sum().backward()

    assert isinstance(scale, nn.Parameter)
    assert scale.shape == shape
    assert (scale == torch.tensor(spec.branch_multiplier)).all()
    assert scale.grad is not None
    assert (scale.grad != 0).any()


def test_a_fixed_scale_is_not_a_parameter() -> None:
    """The α of a plain residual block is a number that no optimizer moves."""
    names = [name for name, _ in build(Mlp(depth=2, residual="plain")).named_parameters()]

    assert not any("branch_scale" in name for name in names)
