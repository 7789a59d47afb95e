"""The best answer that never looks at the input, held against what is known in closed form."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.diagnosis.blind import least_constant_loss
from fathometer.errors import BatchError

CLASSES = torch.tensor([0] * 4 + [1] * 8 + [2] * 12)
SHARES = torch.tensor([4, 8, 12]) / 24
ENTROPY = float(-(SHARES * SHARES.log()).sum())
VALUES = torch.arange(24.0)[:, None] + 100
BITS = (torch.arange(24) < 6).float()[:, None]
BIT_ENTROPY = float(-(0.25 * torch.tensor(0.25).log() + 0.75 * torch.tensor(0.75).log()))


class Ends(nn.Module):
    """A linear layer with something after it."""

    def __init__(self, outputs: int, end: Callable[[Tensor], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.end = nn.Linear(5, outputs), end

    def forward(self, x: Tensor) -> Any:
        return self.end(self.layer(x))


# What the model ends in, its outputs, the loss function, the targets, and the least loss of a constant.
CASES: dict[str, tuple[Callable[[Tensor], Any], int, Callable[[Any, Any], Tensor], Tensor, float]] = {
    "cross-entropy": (lambda z: z, 3, F.cross_entropy, CLASSES, ENTROPY),
    "logarithms of probabilities": (lambda z: z.log_softmax(1), 3, F.nll_loss, CLASSES, ENTROPY),
    "probabilities": (lambda z: z.softmax(1), 3, lambda p, t: F.nll_loss(p.log(), t), CLASSES, ENTROPY),
    "shares": (torch.sigmoid, 1, F.binary_cross_entropy, BITS, BIT_ENTROPY),
    "squared error": (lambda z: z, 1, F.mse_loss, VALUES, float(VALUES.var(correction=0))),
    "squared error of outputs that look like shares": (torch.sigmoid, 1, F.mse_loss, VALUES, float(VALUES.var(correction=0))),
    "a scaled loss": (lambda z: z, 3, lambda o, t: 1e-3 * F.cross_entropy(o, t), CLASSES, 1e-3 * ENTROPY),
    "a tuple": (lambda z: (z, z.new_zeros(2, 24, 7)), 3, lambda o, t: F.cross_entropy(o[0], t), CLASSES, ENTROPY),
    "a dictionary": (lambda z: {"logits": z, "mask": z > 0}, 3, lambda o, t: F.cross_entropy(o["logits"], t), CLASSES, ENTROPY),
}


@pytest.mark.parametrize("name", CASES)
def test_the_best_constant_is_found(name: str) -> None:
    """Whatever the answers are, the least loss is that of class shares, or of the mean."""
    end, outputs, loss_fn, targets, expected = CASES[name]

    found = least_constant_loss(Ends(outputs, end), [(torch.randn(24, 5), targets)], loss_fn)

    assert found == pytest.approx(expected, rel=2e-3)  # L-BFGS stops where the gradient is below 1e-7


def test_batches_of_different_sizes_weigh_by_their_samples() -> None:
    """Two unequal parts of the data have the constant of the whole."""
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    inputs, targets = torch.randn(24, 5), CLASSES[order]
    pairs = [(inputs[:17], targets[:17]), (inputs[17:], targets[17:])]

    assert least_constant_loss(Ends(3, lambda z: z), pairs, F.cross_entropy) == pytest.approx(ENTROPY, rel=2e-3)


def test_a_loss_that_is_never_finite_is_refused() -> None:
    """Where no constant has a finite loss, there is nothing to be held against."""
    with pytest.raises(BatchError, match="No constant output"):
        least_constant_loss(Ends(1, lambda z: z), [(torch.randn(24, 5), VALUES)], lambda o, t: o.sum() * float("nan"))


def test_the_model_is_left_as_it_was() -> None:
    """The mode, the weights and the gradients are not touched."""
    model = Ends(3, lambda z: z)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    least_constant_loss(model, [(torch.randn(24, 5), CLASSES)], F.cross_entropy)

    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
