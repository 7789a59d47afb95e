"""Other numbers in the same weights: the spread that was promised, and what must stay."""

import pytest
import torch
from torch import nn

from fathometer.diagnosis.remedies.weights import initialise, initialise_by_measurement, shrink_readout


def deep(width: int = 256) -> nn.Sequential:
    """Return layers of several kinds."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv1d(4, 8, 3, padding=1), nn.Flatten(), nn.Linear(8 * 16, width), nn.ReLU(), nn.Linear(width, width)
    )


@pytest.mark.parametrize("orthogonal", [False, True])
@pytest.mark.parametrize("gain", [0.5, 2**0.5])
def test_every_layer_gets_its_spread(gain: float, orthogonal: bool) -> None:
    """Weights have the root mean square gain/√fan_in, and biases are 0; a wide orthogonal matrix has it exactly."""
    model = initialise(deep(), gain, orthogonal=orthogonal)

    for layer, fan_in in ((model[0], 12), (model[2], 128), (model[4], 256)):
        expected = gain / max(fan_in, layer.weight.shape[0] if orthogonal else 0) ** 0.5
        # 96 normal draws (the convolution) have a standard error of 7% in the root mean square.
        assert float(layer.weight.detach().square().mean().sqrt()) == pytest.approx(expected, rel=1e-4 if orthogonal else 0.2)
        assert not layer.bias.detach().any()
    rows = model[4].weight.detach()
    identity = (rows @ rows.T / gain**2 - torch.eye(256)).abs().max()
    assert (float(identity) < 1e-4) is orthogonal  # float32 over sums of 256


def test_the_seed_decides() -> None:
    """One seed gives one network, another seed another, whatever the global generator does."""
    first, again, other = (initialise(deep(), 1.0, seed=seed)[4].weight for seed in (1, 1, 2))

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_what_is_frozen_stays() -> None:
    """A layer that must not train keeps the numbers that it came with."""
    model = deep()
    model[2].requires_grad_(False)
    kept = model[2].weight.clone()

    assert torch.equal(initialise(model, 1.0)[2].weight, kept)
    assert torch.equal(initialise_by_measurement(model, lambda model: model(torch.randn(64, 4, 16)))[2].weight, kept)


def test_each_layer_is_scaled_to_variance_one() -> None:
    """After layer-sequential scaling every layer's outputs have variance 1 on that batch. Mishkin & Matas 2016."""
    model, batch, spreads = deep(), 7 * torch.randn(64, 4, 16), []
    initialise_by_measurement(model, lambda model: model(batch))
    for layer in (model[0], model[2], model[4]):
        layer.register_forward_hook(lambda module, args, output: spreads.append(float(output.std())))

    with torch.no_grad():
        model(batch)

    assert spreads == pytest.approx([1.0, 1.0, 1.0], rel=1e-4)  # float32


def test_measuring_lets_go_and_draws_nothing() -> None:
    """No hook stays, also after an error, and the global generator does not move."""
    model = deep()
    model[3] = nn.Dropout(0.5)
    before = torch.get_rng_state()

    initialise_by_measurement(model, lambda model: model(torch.ones(64, 4, 16)))
    with pytest.raises(RuntimeError):
        initialise_by_measurement(model, lambda model: model(torch.ones(64, 5, 16)))

    assert torch.equal(torch.get_rng_state(), before)
    assert not any(module._forward_hooks for module in model.modules())


def test_the_readout_alone_is_made_smaller() -> None:
    """The last layer's numbers are multiplied, the others stay."""
    model = deep()
    before = [parameter.clone() for parameter in model.parameters()]

    shrink_readout(model, 0.25)

    after = list(model.parameters())
    assert all(torch.equal(one, two) for one, two in zip(before[:-2], after[:-2], strict=True))
    assert all(torch.equal(one * 0.25, two) for one, two in zip(before[-2:], after[-2:], strict=True))
