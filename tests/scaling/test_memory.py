"""Bytes of training: what autograd really keeps, and how it grows."""

from dataclasses import replace

import pytest
import torch

from fathometer.instruments import account
from fathometer.networks import build
from fathometer.scaling import memory_bytes, num_parameters
from fathometer.spec import ConvNet, Mlp, Transformer, preset

BATCH = 5


def kept_by_autograd(spec: Mlp) -> int:
    """Return the numbers that autograd keeps for the backward pass, each tensor once, without parameters."""
    model = build(spec)
    own = {tensor.untyped_storage().data_ptr() for tensor in model.parameters()}
    kept: dict[int, int] = {}
    alive: list[torch.Tensor] = []  # no storage may be freed and used again while we look

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        alive.append(tensor)
        if tensor.untyped_storage().data_ptr() not in own and tensor.shape[-1:] not in ((1,), ()):
            kept[tensor.untyped_storage().data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(torch.randn(BATCH, spec.inputs))
    assert output.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize(
    "fields",
    [
        {"residual": "none"},
        {"residual": "none", "activation": "gelu"},
        {"residual": "none", "activation": "tanh", "norm": "layer"},
        {"residual": "plain", "branch_layers": 2},
        {"residual": "plain", "activation": "gelu"},
        {"residual": "pre-norm"},
        {"residual": "post-norm", "activation": "gelu"},
        {"residual": "layerscale"},
        {"residual": "highway", "activation": "gelu"},
    ],
    ids=str,
)
def test_activations_are_what_autograd_keeps(fields: dict[str, object]) -> None:
    """The closed form equals the tensors that torch's autograd packs away."""
    spec = Mlp(depth=4, width=16, inputs=8, outputs=3, **fields)

    assert memory_bytes(spec, BATCH).activations == 4 * kept_by_autograd(spec)


def test_parameters_gradients_and_adam() -> None:
    """Adam holds two numbers for each parameter, SGD without momentum none; half the bytes are half of everything."""
    spec = preset("gpt2")
    whole, plain, half = memory_bytes(spec), memory_bytes(spec, optimizer_states=0), memory_bytes(spec, number_bytes=2)

    assert (whole.parameters, whole.gradients, whole.optimizer) == tuple(num_parameters(spec) * n for n in (4, 4, 8))
    assert plain.total == whole.total - whole.optimizer
    assert 2 * half.total == whole.total


@pytest.mark.parametrize("name", ["gpt2", "he-50", "resnet-20"])
def test_activations_grow_with_the_batch_alone(name: str) -> None:
    """Twice the batch keeps twice the activations and the same parameters."""
    one, two = memory_bytes(preset(name), 1), memory_bytes(preset(name), 2)

    assert (two.activations, two.parameters) == (2 * one.activations, one.parameters)


def test_a_gpt_block_keeps_sixteen_widths_a_token() -> None:
    """Per token a block keeps 16·d numbers and one for each head; Korthikanti et al. 2022 count 34·d bytes with dropout's masks.

    Their 34 are 2 bytes for each of 16 widths, and 2 masks of one byte.
    """
    spec, deeper = preset("gpt2"), preset("gpt2@depth=13")
    block = memory_bytes(deeper).activations - memory_bytes(spec).activations
    squares = memory_bytes(spec, fused=False).activations - memory_bytes(spec).activations

    assert block == 4 * 1024 * (16 * 768 + 12)
    assert squares == 4 * 12 * 12 * (1024**2 - 1024)


@pytest.mark.parametrize("name", ["gpt3-175b", "pre-norm-96", "resnet-110"])
def test_recomputing_keeps_the_stream_and_one_block(name: str) -> None:
    """With recomputation depth costs one stream for each block, and less than keeping all."""
    spec = preset(name)
    again, kept = memory_bytes(spec, recompute=True), memory_bytes(spec)

    assert again.activations < kept.activations
    assert again.parameters == kept.parameters


def test_a_recomputed_block_more_costs_one_stream() -> None:
    """One more block of GPT-3 keeps one stream: tokens × width numbers."""
    spec = preset("gpt3-175b")
    more = memory_bytes(replace(spec, depth=97), recompute=True).activations
    deeper = more - memory_bytes(spec, recompute=True).activations

    assert deeper == 4 * 2048 * 12_288


@pytest.mark.parametrize(
    ("spec", "less"),
    [
        (Mlp(depth=4, width=16), 0),
        (Mlp(depth=4, width=16, activation="gelu"), 0),
        (Mlp(depth=4, width=16, residual="plain"), 0),
        (Mlp(depth=4, width=16, residual="plain", activation="gelu"), 0),
        (Mlp(depth=4, width=16, residual="highway"), 0),
        (Mlp(depth=4, width=256, residual="pre-norm"), 0.005),  # statistics of LayerNorm: two numbers for 256
        (ConvNet(depth=14, width=4, image_size=16, norm=None), 0),
        (ConvNet(depth=14, width=4, image_size=16, norm=None, activation="gelu"), 0),
        (Transformer(depth=3, width=64, heads=2, vocabulary=50, context=32, residual="plain"), 0.005),  # token numbers
    ],
    ids=str,
)
def test_a_recomputed_network_keeps_what_is_counted_on_it(spec: Mlp | ConvNet | Transformer, less: float) -> None:
    """Blocks' inputs, and one block without the input that is among them, equal what counting on the network itself finds."""
    shape = {
        Mlp: lambda: torch.empty(BATCH, spec.inputs, device="meta"),
        ConvNet: lambda: torch.empty(BATCH, spec.channels, spec.side, spec.side, device="meta"),
        Transformer: lambda: torch.empty(BATCH, spec.context, dtype=torch.long, device="meta"),
    }
    counted = account(build(spec, device="meta"), shape[type(spec)]()).recomputed_activation_bytes

    assert counted is not None
    assert counted * (1 - less) <= memory_bytes(spec, BATCH, recompute=True).activations <= counted
