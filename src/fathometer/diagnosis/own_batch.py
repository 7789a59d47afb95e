"""Data for a spec without any: digits where they fit, else a teacher's."""

import torch
from torch import Tensor

from fathometer.data import digits
from fathometer.spec import Mlp

NUM_SAMPLES, NUM_BATCHES = 64, 20


def own_batch(spec: Mlp, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return inputs `(64, inputs)` of second moment 1 and targets: classes `(64,)`, or values `(64, 1)` for one output."""
    return own_data(spec, seed)[0]


def own_data(spec: Mlp, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Return batches to train on: the handwritten digits, or noise as a random linear teacher labels it."""
    if (spec.inputs, spec.outputs) == (64, 10):
        data = digits(seed)
        inputs, targets = data.train_inputs, data.train_targets
    else:
        generator = torch.Generator().manual_seed(seed)
        inputs = torch.randn(NUM_BATCHES * NUM_SAMPLES, spec.inputs, generator=generator)
        values = inputs @ torch.randn(spec.inputs, spec.outputs, generator=generator) / spec.inputs**0.5
        targets = values if spec.outputs == 1 else values.argmax(dim=1)
    starts = range(0, len(inputs) - NUM_SAMPLES + 1, NUM_SAMPLES)
    return [(inputs[start : start + NUM_SAMPLES], targets[start : start + NUM_SAMPLES]) for start in starts]
