"""A task without hierarchy: classes cut by flat planes."""

from functools import cache

import numpy as np
import torch

from fathometer.data import Samples
from fathometer.data.dataset import class_facts, in_two_parts

HELD_OUT = 2000


@cache
def flat_classes(*, inputs: int = 48, classes: int = 6, samples: int = 40_000, seed: int = 0) -> Samples:
    """Return Gaussian inputs and which of `classes` random directions each points to most: no parts, no levels."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((samples + HELD_OUT, inputs)).astype(np.float32)
    directions = generator.standard_normal((inputs, classes)).astype(np.float32)
    given, targets = torch.from_numpy(x), torch.from_numpy((x @ directions).argmax(axis=1))
    facts = class_facts(given[:samples], targets[:samples], given[samples:], targets[samples:], classes=classes)
    return in_two_parts("flat classes", facts, given, targets, train=samples)
