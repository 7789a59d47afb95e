"""Which units still answer: dead and saturated shares of activations."""

import torch
from torch import Tensor

MIN_SAMPLES = 16  # with fewer, a healthy unit is often 0 for all of them (2 samples: one in four)
# Where the slope falls under 1% of its largest value: tanh′(2.99) = 0.01, sigmoid′(5.98) = 0.0025.
FLAT_BEYOND = {"tanh": 2.993, "sigmoid": 5.986, "hardtanh": 1.0}


def dead_share(name: str, inputs: Tensor) -> float | None:
    """Return the share of units whose ReLU input is never positive; None for other activations or too few samples.

    A unit is a channel of images `(batch, channel, height, width)` and volumes, else an entry of the last axis. Three axes
    are read as `(batch, time, width)`; of one-dimensional convolutions `(batch, channel, time)` it is then each time step
    that counts as a unit, which is seldom dead: there, a share of 0 says little.
    """
    if name != "relu" or inputs.ndim < 2 or not inputs.numel():
        return None
    axis = 1 if inputs.ndim > 3 else inputs.ndim - 1
    if inputs.numel() // inputs.shape[axis] < MIN_SAMPLES:
        return None
    largest = inputs.amax(dim=[other for other in range(inputs.ndim) if other != axis])
    return int(torch.count_nonzero(largest <= 0)) / largest.numel()


def saturated_share(name: str, inputs: Tensor) -> float | None:
    """Return the share of inputs where a saturating activation is flat; None for other activations."""
    if name not in FLAT_BEYOND or not inputs.numel():
        return None
    return int(torch.count_nonzero(inputs.abs() > FLAT_BEYOND[name])) / inputs.numel()
