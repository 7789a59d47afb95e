"""Recomputed activations give the same gradients, and keep less."""

from dataclasses import replace
from math import isqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fathometer.errors import ModelError
from fathometer.networks import build
from fathometer.records import Asked
from fathometer.spec import ConvNet, Mlp, Transformer
from fathometer.training import chains, fit, recomputing

TOKENS = torch.arange(24).reshape(2, 12) % 16
NETWORKS = {
    "mlp": (Mlp(depth=9, width=16, residual="pre-norm", norm="batch"), torch.randn(8, 64, generator=torch.manual_seed(0))),
    "plain": (Mlp(depth=7, width=16), torch.randn(8, 64, generator=torch.manual_seed(1))),
    "transformer": (Transformer(depth=5, width=16, heads=2, vocabulary=16, context=12, dropout=0.2), TOKENS),
    "convnet": (ConvNet(depth=20, width=4, image_size=8), torch.randn(4, 3, 8, 8, generator=torch.manual_seed(2))),
}


def gradients(model: nn.Module, inputs: Tensor, how: str | None) -> list[Tensor]:
    """Return the gradients of one backward pass, then the buffers that it leaves."""
    torch.manual_seed(3)
    model.train()
    with recomputing(model, how):
        output = model(inputs)
        output.square().mean().backward()
    found = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return [*found, *model.buffers(), output.detach(), torch.rand(1)]


@pytest.mark.parametrize("how", ["block", "sqrt"])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_buffers_and_draws_are_those_of_the_plain_module(name: str, how: str) -> None:
    """Bit for bit: gradients, statistics of batch norms, what dropout drew, and what is drawn next."""
    spec, inputs = NETWORKS[name]
    plain, other = gradients(build(spec), inputs, None), gradients(build(spec), inputs, how)

    assert len(plain) == len(other)
    assert all(torch.equal(one, two) for one, two in zip(plain, other, strict=True))


def kept_tensors(model: nn.Module, inputs: Tensor, how: str | None) -> int:
    """Return how many numbers a forward pass keeps for its backward pass, parameters left out."""
    own = {parameter.data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in own:
            kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with recomputing(model, how), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(inputs)
    assert output.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("depth", [16, 36])
def test_sqrt_keeps_the_inputs_of_segments_alone(depth: int) -> None:
    """Of L blocks the inputs of √L - 1 segments are kept, and the last segment whole; "block" keeps L - 1 and one block."""
    spec, inputs, root = Mlp(depth=depth, width=32, residual="pre-norm", norm="layer"), torch.randn(8, 64), isqrt(depth)
    plain, deeper = (kept_tensors(build(one), inputs, None) for one in (spec, replace(spec, depth=depth + 1)))
    one, outside = deeper - plain, plain - depth * (deeper - plain)

    assert kept_tensors(build(spec), inputs, "block") == outside + (depth - 1) * 8 * 32 + one
    assert kept_tensors(build(spec), inputs, "sqrt") == outside + (root - 1) * 8 * 32 + root * one
    assert one > 2 * 8 * 32


class Gathering(nn.Module):
    """Blocks whose outputs are all used, not only the last one."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(4))

    def forward(self, signal: Tensor) -> Tensor:
        total = torch.zeros_like(signal)
        for block in self.blocks:
            signal = block(signal)
            total = total + signal
        return total


class Skipping(Gathering):
    """Blocks that do not follow one another."""

    def forward(self, signal: Tensor) -> Tensor:
        return sum((block(signal) for block in self.blocks), torch.zeros_like(signal))


@pytest.mark.parametrize("kind", [Gathering, Skipping])
def test_segments_that_would_change_the_answer_are_refused(kind: type[nn.Module], seed: int) -> None:
    """Where blocks do not simply follow one another "sqrt" is an error before the first step; "block" works."""
    torch.manual_seed(seed)
    model = kind()
    batches = [(torch.randn(3, 4), torch.randn(3, 4))]
    before = model.blocks[0].weight.detach().clone()
    with pytest.raises(ModelError, match='Say checkpointing = "block"'):
        fit(model, batches, Asked(steps=2, checkpointing="sqrt"))
    assert torch.equal(before, model.blocks[0].weight)
    assert [vars(block).get("forward") for block in model.blocks] == [None] * 4

    assert len(fit(model, batches, Asked(steps=2, checkpointing="block")).losses) == 2


def test_a_block_that_runs_again_and_again_has_no_segments() -> None:
    """Shared weights are refused by "sqrt"."""
    block = nn.Linear(4, 4)
    model = nn.Sequential(nn.ModuleList([block] * 4)[0], nn.Sequential(*[block] * 4))
    with pytest.raises(ModelError, match="more than once"), recomputing(model, "sqrt"):
        pass


def test_without_blocks_there_is_nothing_to_recompute() -> None:
    """A single layer has no blocks: the error says what is needed."""
    with pytest.raises(ModelError, match="no list of blocks"), recomputing(nn.Linear(2, 2), "block"):
        pass


def test_the_block_always_lets_go() -> None:
    """After an exception inside the blocks run as their classes say, and a forward of the user's own is back."""

    def own(signal: Tensor) -> Tensor:
        return 2 * signal

    model = nn.Sequential(*[nn.Linear(4, 4) for _ in range(4)])
    model[1].forward = own
    with pytest.raises(RuntimeError, match="stop"), recomputing(model, "sqrt"):
        raise RuntimeError("stop")

    assert model[1].forward is own
    assert "forward" not in vars(model[0])


@pytest.mark.parametrize("how", ["block", "sqrt"])
def test_a_run_with_it_is_the_same_run(how: str) -> None:
    """Losses over steps with dropout are those of the plain run, bit for bit."""
    spec = NETWORKS["transformer"][0]
    batches = [(TOKENS, TOKENS.roll(1, 1))]
    losses = []
    for checkpointing in (None, how):
        torch.manual_seed(0)
        losses.append(fit(build(spec), batches, Asked(steps=4, checkpointing=checkpointing)).losses)

    assert losses[0] == losses[1]


def test_chains_are_the_outermost_lists_of_like_blocks() -> None:
    """Stages of a ResNet are several chains; single layers of a Sequential one; a list of lists its inner lists."""

    def sizes(model: Any) -> list[int]:
        return [len(chain) for chain in chains(model)]

    stages = nn.ModuleDict({str(count): nn.Sequential(*[nn.Linear(2, 2) for _ in range(count)]) for count in (2, 3)})
    assert sizes(stages) == [2, 3]
    assert sizes(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))) == [3]
    assert sizes(build(Mlp(depth=4))) == [4]
    assert sizes(build(Transformer(depth=3, width=16, heads=2))) == [3]
    assert sizes(nn.Linear(2, 2)) == []
