"""Data for a spec that comes without any, by family."""

import pytest
import torch

from fathometer.data import digits
from fathometer.diagnosis import preflight
from fathometer.diagnosis.own_batch import NUM_SAMPLES, own_batch, own_data
from fathometer.networks import build
from fathometer.spec import ConvNet, Mlp, Transformer, preset


def test_the_digits_serve_where_they_fit() -> None:
    """64 inputs and 10 outputs are handwriting, each image once."""
    inputs, targets = own_batch(Mlp())
    whole = torch.cat([each for each, _ in own_data(Mlp())])

    assert torch.equal(inputs, digits().train_inputs[:NUM_SAMPLES])
    assert torch.equal(targets, digits().train_targets[:NUM_SAMPLES])
    assert torch.equal(whole, digits().train_inputs[: len(whole)])
    assert len(digits().train_inputs) - len(whole) < NUM_SAMPLES


@pytest.mark.parametrize(("outputs", "kind"), [(3, torch.int64), (1, torch.float32)])
def test_elsewhere_a_teacher_serves(outputs: int, kind: torch.dtype) -> None:
    """Noise of second moment 1, labelled by a linear teacher, so that there is something to learn."""
    data = own_data(Mlp(inputs=20, outputs=outputs), seed=1)
    inputs, targets = (torch.cat(part) for part in zip(*data, strict=True))

    assert targets.dtype is kind
    assert float(inputs.square().mean()) == pytest.approx(1.0, abs=0.05)  # 25,600 draws: 0.009 is one standard deviation
    solution = torch.linalg.lstsq(inputs, targets if outputs == 1 else torch.nn.functional.one_hot(targets).float()).solution
    found = inputs @ solution
    hit = (found - targets).abs().max() < 1e-3 if outputs == 1 else (found.argmax(1) == targets).double().mean() > 0.9
    assert bool(hit)


def test_a_transformer_gets_tokens_that_mostly_decide_the_next() -> None:
    """Sixteen sequences of 64 tokens, or of the context if that is shorter; each target is the next token."""
    inputs, targets = own_batch(Transformer(vocabulary=50, context=1024))

    assert inputs.shape == targets.shape == (16, 64)
    assert inputs.dtype == targets.dtype == torch.int64
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    assert own_batch(Transformer(context=7))[0].shape == (16, 7)
    usual = sum(int(targets[inputs == token].bincount().max()) for token in inputs.unique())
    assert 0.85 < usual / targets.numel() < 0.96  # nine out of ten are decided; 1,024 draws spread by 0.01


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
