"""A spec without a batch gets one that fits its family."""

import pytest
import torch

from fathometer.diagnosis import preflight
from fathometer.diagnosis.own_batch import own_batch
from fathometer.networks import build
from fathometer.spec import ConvNet, Mlp, Transformer, preset


def test_a_transformer_gets_random_tokens_and_those_that_follow() -> None:
    """Four sequences of 64 tokens, or of the context if that is shorter; each target is the next token."""
    inputs, targets = own_batch(Transformer(vocabulary=50, context=1024))

    assert inputs.shape == targets.shape == (4, 64)
    assert inputs.dtype == targets.dtype == torch.int64
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    # 256 draws of 50 tokens leave 0.3 of them out on average; five or more with a chance below 1e-4.
    assert len(inputs.unique()) > 45
    assert 0 <= int(inputs.min()) <= int(inputs.max()) < 50
    assert own_batch(Transformer(context=7))[0].shape == (4, 7)


def test_a_convnet_gets_gaussian_images() -> None:
    """Sixteen images of the spec's own size and channels, of second moment 1, and one class for each."""
    inputs, targets = own_batch(ConvNet(channels=1, image_size=24, classes=7))

    assert inputs.shape == (16, 1, 24, 24)
    # 9,216 normal numbers: the second moment is off by √(2/9216) = 1.5%
    assert inputs.square().mean().item() == pytest.approx(1, abs=0.08)
    assert targets.shape == (16,)
    assert 0 <= int(targets.min()) <= int(targets.max()) < 7


@pytest.mark.parametrize("spec", [Mlp(inputs=5, outputs=3), Transformer(), ConvNet()], ids=lambda spec: type(spec).__name__)
def test_the_seed_decides(spec: Mlp | ConvNet | Transformer) -> None:
    """One seed gives one batch, another seed another, and torch's generator is left alone."""
    before = torch.get_rng_state()
    batches = [own_batch(spec, seed)[0] for seed in (1, 1, 2)]

    assert torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[0], batches[2])
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("gpt2@width=64,vocabulary=500", 12),
        ("llama3-8b@width=64,vocabulary=500", 32),
        ("resnet-20@width=8", 9),
        ("resnet-50@width=8,image_size=64,classes=10", 16),
    ],
)
def test_a_preset_of_each_family_can_be_sounded(name: str, blocks: int) -> None:
    """A preflight finds the blocks in order and measures each of them."""
    check = preflight(name)

    assert check.profile.points == tuple(f"blocks.{index}" for index in range(blocks))
    assert all(value is not None and value > 0 for value in check.profile.values["gradient"])
    assert check.verdict != "unknown"


@pytest.mark.parametrize("name", ["gpt2@width=64,vocabulary=500", "plain-20@width=4", "mlp-5"])
def test_the_batch_fits_the_network(name: str) -> None:
    """What the batch holds goes into the network, and the targets fit what comes out."""
    inputs, targets = own_batch(preset(name))

    assert build(name)(inputs).shape[:-1] == targets.shape
