"""Local networks: each layer joins neighbours, with the same weights."""

from collections.abc import Sequence
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fathometer.instruments import seeded

# The hierarchy that the studies share: its rules, and how many data a deep network needs for them (P*, Cagnetta et al. 2024).
RULES = {"classes": 6, "symbols": 6, "synonyms": 4, "levels": 3}
ENOUGH = RULES["classes"] * RULES["synonyms"] ** RULES["levels"]


class Tree(nn.Module):
    """A convolutional network without overlap: layer after layer joins `patches[i]` neighbours into one, `width` units each.

    `patches` (8,) is one hidden layer that sees all of eight symbols, (2, 2, 2) three layers that join pairs. Inputs are
    one-hot `(batch, positions · symbols)`.
    """

    def __init__(self, patches: Sequence[int], width: int, symbols: int, classes: int) -> None:
        super().__init__()
        sizes = [symbols, *[width] * (len(patches) - 1)]
        self.symbols, self.patches = symbols, tuple(patches)
        self.layers = nn.ModuleList(nn.Linear(patch * size, width) for patch, size in zip(patches, sizes, strict=True))
        self.readout = nn.Linear(width, classes)
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch classes"]:
        """Return the scores of the classes."""
        signal = inputs.view(len(inputs), -1, self.symbols)
        for patch, layer in zip(self.patches, self.layers, strict=True):
            signal = torch.relu(layer(signal.reshape(len(signal), -1, patch * signal.shape[-1])))
        return self.readout(signal.flatten(1))


def parameters_of(patches: Sequence[int], width: int, symbols: int, classes: int) -> int:
    """Return the number of weights and biases of a tree."""
    sizes = [symbols, *[width] * (len(patches) - 1)]
    return sum((patch * size + 1) * width for patch, size in zip(patches, sizes, strict=True)) + (width + 1) * classes


def products_of(patches: Sequence[int], width: int, symbols: int, classes: int) -> int:
    """Return the products that one input takes on its way through: weights count as often as they are used."""
    sizes, count = [symbols, *[width] * (len(patches) - 1)], width * classes
    for index, (patch, size) in enumerate(zip(patches, sizes, strict=True)):
        count += prod(patches[index + 1 :]) * patch * size * width
    return count


def width_for(budget: str, amount: int, patches: Sequence[int], symbols: int, classes: int) -> int:
    """Return the greatest width at which "parameters" or "flops" (of one pass, two for each product) are at most an amount."""
    width = 1
    while (
        parameters_of(patches, width + 1, symbols, classes)
        if budget == "parameters"
        else 2 * products_of(patches, width + 1, symbols, classes)
    ) <= amount:
        width += 1
    return width


def seeded_tree(patches: Sequence[int], width: int, symbols: int, classes: int, seed: int) -> Tree:
    """Return a tree drawn from a seed; torch's generators are left as they were."""
    with seeded(seed):
        return Tree(patches, width, symbols, classes)
