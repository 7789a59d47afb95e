"""Representations are what the layers gave, and taking them leaves no trace."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fathometer.errors import BatchError, ModelError
from fathometer.lenses import represent
from fathometer.lenses.streaming import stream
from fathometer.networks import build
from fathometer.spec import Mlp


def test_they_equal_a_forward_pass_by_hand(seed: int) -> None:
    """In uneven batches, each point holds what its block gives for all samples at once."""
    model = build(Mlp(depth=3, width=16, inputs=9, residual="pre-norm"), seed=seed)
    inputs = torch.randn(11, 9, generator=torch.Generator().manual_seed(seed))
    found = represent(model, inputs.split(4))
    assert model.stem is not None
    signal = model.stem(inputs)
    expected = [inputs]
    for block in model.blocks:
        signal = block(signal)
        expected.append(signal)

    assert found.points == ("input", "blocks.0", "blocks.1", "blocks.2")
    for array, tensor in zip(found.arrays, expected, strict=True):
        assert array.dtype == np.float32
        # Batches of another size are multiplied in another order: float32 rounding.
        np.testing.assert_allclose(array, tensor.detach(), rtol=1e-5, atol=1e-6)


def test_nothing_is_changed_by_looking(seed: int) -> None:
    """Statistics of batch norm, modes, hooks, gradients and generators are as they were, also after an exception."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.get_rng_state()
    represent(model, [torch.ones(3, 4)])
    with pytest.raises(RuntimeError):
        represent(model, [torch.ones(3, 4), torch.ones(3, 5)])

    assert [module.training for module in model] == [True, False, True, True, True]
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert torch.equal(generator, torch.get_rng_state())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_later_layer_that_writes_in_place_does_not_reach_back(seed: int) -> None:
    """What a layer gave is copied before an in-place activation overwrites it."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    inputs = torch.randn(6, 4)
    found = represent(model, [inputs], layers=["0"])

    assert (found.arrays[1] < 0).any()
    np.testing.assert_allclose(found.arrays[1], model[0](inputs).detach(), rtol=1e-6, atol=1e-6)


class Twice(nn.Module):
    """One block that runs twice, on inputs that come as a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Linear(4, 4)

    def forward(self, x: Tensor, shift: Tensor) -> dict[str, Tensor]:
        return {"logits": self.block(self.block(x + shift))}


def test_a_block_that_runs_twice_is_two_points(seed: int) -> None:
    """A shared block counts each time it runs; inputs may be a dictionary."""
    torch.manual_seed(seed)
    model, x = Twice(), torch.randn(3, 4)
    found = represent(model, [{"x": x, "shift": x}], layers=["block"])

    assert found.points == ("input", "block", "block#2")
    np.testing.assert_allclose(found.arrays[1], model.block(2 * x).detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.arrays[2], model.block(model.block(2 * x)).detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 5, 4), lambda x: x.flatten(1)),
        ((2, 50, 4), lambda x: x.mean(1)),
        ((2, 6, 5, 5), lambda x: x.mean((2, 3))),
        ((2, 90), lambda x: x[:, torch.linspace(0, 89, 30).long()]),
    ],
    ids=["flattened", "time averaged", "place averaged", "units chosen"],
)
def test_what_is_wide_is_made_narrow(shape: tuple[int, ...], expected, seed: int) -> None:
    """At most `max_features` numbers are kept for each sample."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    found = represent(nn.Sequential(nn.Identity()), [x], layers=["0"], max_features=30)

    assert found.arrays[1].shape[1] <= 30
    np.testing.assert_allclose(found.arrays[1], expected(x), rtol=1e-6, atol=1e-6)


def test_layers_that_are_not_there_and_inputs_that_are_not_there_are_errors() -> None:
    """Each says what was expected."""
    with pytest.raises(ModelError, match="match no module"):
        represent(build("mlp-5"), [torch.zeros(2, 64)], layers=["blocks.9"])
    with pytest.raises(BatchError, match="no inputs"):
        represent(build("mlp-5"), [])


def test_a_layer_that_gives_no_batch_is_an_error() -> None:
    """Where the first axis is not the batch, a row would not be a sample."""

    class TimeFirst(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.transpose(0, 1)

    with pytest.raises(ModelError, match="first dimension"):
        represent(nn.Sequential(TimeFirst()), [torch.zeros(2, 7, 3)], layers=["0"])


def test_who_reads_two_models_side_by_side_or_stops_finds_all_as_it_was(seed: int) -> None:
    """Between two batches, and after a stream that was left half-way, gradients are on and the model is in its own mode."""
    models = [build(Mlp(depth=2, width=8, inputs=4), seed=seed + each).train() for each in range(2)]
    batches = torch.randn(6, 4).split(2)

    for _ in zip(stream(models[0], batches), stream(models[1], batches), strict=True):
        assert torch.is_grad_enabled()
        assert all(module.training for model in models for module in model.modules())
    left = stream(models[0], batches)
    next(left)

    assert torch.is_grad_enabled()
    assert all(module.training for module in models[0].modules())
