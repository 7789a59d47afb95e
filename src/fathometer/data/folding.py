"""Parity and sawtooth: what a deep network folds and a shallow one cuts."""

import numpy as np
import torch
from jaxtyping import Float64

from fathometer.data.dataset import Samples, class_facts, content_hash, in_two_parts
from fathometer.data.hierarchy import split_sizes
from fathometer.errors import DataError, unknown_name

MOST_BITS = 62  # an input is drawn as one 64-bit number
SAMPLES = 4096
TARGETS = ("class", "value")


def parity(bits: int = 16, *, relevant: int | None = None, samples: int | None = None, seed: int = 0) -> Samples:
    """Return rows of bits, written as -1 and 1, and whether an odd number of them is 1; no row comes twice.

    Only the first `relevant` bits count; None: all. `samples` is how many are trained on; None takes 4,096, or four fifths
    of the 2^bits rows. Inputs `(batch, bits)`. Raises `DataError` for sizes that cannot be.
    """
    counted = bits if relevant is None else relevant
    if not 1 <= counted <= bits <= MOST_BITS:
        raise DataError(
            f"`bits` is {bits} and `relevant` is {relevant}", f"They go from 1 to {MOST_BITS}, relevant ≤ bits", "Try bits = 16"
        )
    train, test = split_sizes(2**bits, samples, SAMPLES)
    numbers = np.random.default_rng(seed).choice(2**bits, size=train + test, replace=False)
    ones = numbers[:, None] >> np.arange(bits) & 1
    inputs = torch.from_numpy(2 * ones - 1).float()
    targets = torch.from_numpy(ones[:, :counted].sum(axis=1) % 2)
    facts = class_facts(inputs[:train], targets[:train], inputs[train:], targets[train:], classes=2)
    return in_two_parts("parity", facts, inputs, targets, train=train)


def tent(x: Float64[np.ndarray, " sample"], folds: int) -> Float64[np.ndarray, " sample"]:
    """Return the tent map, 2x up to a half and 2 - 2x from there, applied `folds` times: 2^folds straight pieces.

    >>> tent(np.array([0.0, 0.25, 0.5, 0.75, 1.0]), folds=2)
    array([0., 1., 0., 1., 0.])
    """
    for _ in range(folds):
        x = np.where(x < 0.5, 2 * x, 2 - 2 * x)
    return x


def sawtooth(folds: int = 4, *, targets: str = "class", samples: int = SAMPLES, seed: int = 0) -> Samples:
    """Return numbers from 0 to 1 and whether they lie on the upper half of a sawtooth with 2^folds pieces.

    `targets` "value" gives the sawtooth itself, scaled to mean 0 and std 1. Inputs `(batch, 1)`, scaled likewise. A network
    of `folds` hidden layers of two units each is exact (`theory.tent_network`); one hidden layer needs a unit for each piece.
    Telgarsky 2015, "Representation benefits of deep feedforward networks".
    """
    if targets not in TARGETS:
        raise unknown_name("kind of targets", targets, TARGETS, DataError)
    if not 1 <= folds <= 40:
        raise DataError(f"`folds` is {folds}", "It must be from 1 to 40, or rounding eats the teeth", "Try folds = 4")
    train, test = split_sizes(2**53, samples, SAMPLES)
    x = np.random.default_rng(seed).random(train + test)
    heights = tent(x, folds)
    answers = (heights >= 0.5).astype(np.int64) if targets == "class" else _standard(heights).astype(np.float32)[:, None]
    facts = {
        **({"classes": 2} if targets == "class" else {}),
        "shape": [1],
        "pieces": 2**folds,
        "sha256": content_hash([x, targets, str(folds)]),
    }
    inputs = torch.from_numpy(_standard(x)).float()[:, None]
    return in_two_parts("sawtooth", facts, inputs, torch.from_numpy(answers), train=train)


def _standard(uniform: Float64[np.ndarray, " sample"]) -> Float64[np.ndarray, " sample"]:
    """Return numbers that are even from 0 to 1, scaled to mean 0 and std 1."""
    return (uniform - 0.5) * 12**0.5
