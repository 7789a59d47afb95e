"""Which units still answer: dead and saturated shares, seen at an activation's input."""

import torch
from torch import Tensor

MIN_SAMPLES = 16  # with fewer, a healthy unit is often 0 for all of them (2 samples: one in four)
# Where the slope falls under 1% of its largest value: tanh′(2.99) = 0.01, sigmoid′(5.98) = 0.0025.
FLAT_BEYOND = {"tanh": 2.993, "sigmoid": 5.986, "hardtanh": 1.0}


def dead_share(name: str, inputs: Tensor) -> float | None:
    """Return the share of units whose ReLU input is never positive; None for other activations or too few samples.

    A unit is a channel of images `(batch, channel, height, width)`, else an entry of the last axis.
    """
    if name != "relu" or inputs.ndim < 2:
        return None
    by_unit = inputs.movedim(1 if inputs.ndim == 4 else -1, 0).reshape(inputs.shape[1 if inputs.ndim == 4 else -1], -1)
    if by_unit.shape[1] < MIN_SAMPLES:
        return None
    return float((by_unit.amax(dim=1) <= 0).to(torch.float64).mean())


def saturated_share(name: str, inputs: Tensor) -> float | None:
    """Return the share of inputs where a saturating activation is flat; None for other activations."""
    if name not in FLAT_BEYOND or not inputs.numel():
        return None
    return float((inputs.abs() > FLAT_BEYOND[name]).to(torch.float64).mean())
