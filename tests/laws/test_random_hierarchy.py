"""The Random Hierarchy Model is learned with depth, at the size that its paper says."""

from itertools import islice

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from fathometer.data import hierarchy

CLASSES = SYMBOLS = 6
SYNONYMS, LEVELS = 4, 3
ENOUGH = CLASSES * SYNONYMS**LEVELS  # P*, what a deep network needs: Cagnetta et al. 2024
STEPS, WIDTH = 1000, 256


class Deep(nn.Module):
    """A convolutional network with the tree of the data: each layer joins pairs."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [SYMBOLS] + [WIDTH] * (LEVELS - 1)
        self.layers = nn.ModuleList(nn.Linear(2 * size, WIDTH) for size in sizes)
        self.readout = nn.Linear(WIDTH, CLASSES)

    def forward(self, inputs: Float[Tensor, "batch unit"]) -> Float[Tensor, "batch class"]:
        """Return the scores of the classes."""
        signal = inputs.view(len(inputs), -1, SYMBOLS)
        for layer in self.layers:
            signal = torch.relu(layer(signal.reshape(len(signal), -1, 2 * signal.shape[-1])))
        return self.readout(signal.flatten(1))


def shallow() -> nn.Module:
    """Return one hidden layer, with more units than the deep network has in all."""
    return nn.Sequential(nn.Linear(SYMBOLS * 2**LEVELS, 4 * WIDTH), nn.ReLU(), nn.Linear(4 * WIDTH, CLASSES))


def error_over_chance(model: nn.Module, samples: int) -> float:
    """Return the held-out error after training on so many samples, as a share of the error of guessing."""
    data = hierarchy(classes=CLASSES, symbols=SYMBOLS, synonyms=SYNONYMS, levels=LEVELS, samples=samples)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for inputs, targets in islice(data.batches(128), STEPS):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    with torch.no_grad():
        wrong = model(data.test_inputs[:]).argmax(dim=1) != data.test_targets[:]
    return wrong.float().mean().item() / (1 - 1 / CLASSES)


@pytest.mark.slow
def test_a_deep_network_learns_it_around_p_star_and_a_shallow_one_does_not() -> None:
    """The error of a deep network halves near P* and is a tenth before 3.3 P*; a shallow one fails with 4 P* still."""
    ratios, errors = (0.5, 1, 2, 4), list[float]()
    for ratio in ratios:
        torch.manual_seed(0)
        errors.append(error_over_chance(Deep(), int(ratio * ENOUGH)))
    torch.manual_seed(0)
    control = error_over_chance(shallow(), 4 * ENOUGH)

    half, tenth = (np.exp(np.interp(-level, [-error for error in errors], np.log(ratios))) for level in (0.5, 0.1))
    # Other sizes and seeds gave 1.08 to 1.33 and 2.4 to 3.1; the bounds leave as much again. One seed is run here.
    assert 0.8 < half < 1.5
    assert 1.8 < tenth < 3.3
    assert control > 0.5
