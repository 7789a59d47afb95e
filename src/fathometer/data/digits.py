"""Real handwriting that every scikit-learn brings along: 8×8 digits."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from fathometer.data.batches import Batches, in_order
from fathometer.data.dataset import Pairs, class_facts

HELD_OUT_SHARE = 0.2


@dataclass(frozen=True, eq=False)
class Digits:
    """Handwritten digits in two parts: inputs `(samples, 64)`, standardised; targets 0 to 9."""

    train_inputs: Float[Tensor, "train 64"]
    train_targets: Int64[Tensor, " train"]
    test_inputs: Float[Tensor, "test 64"]
    test_targets: Int64[Tensor, " test"]

    @property
    def name(self) -> str:
        """Return the name in the catalogue."""
        return "digits"

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """Return sizes, classes and a hash, as plain values."""
        return class_facts(self.train_inputs, self.train_targets, self.test_inputs, self.test_targets, classes=10)

    def batches(self, batch_size: int, seed: int = 0, *, rank: int = 0, world: int = 1) -> Batches:
        """Return endless batches that are shuffled anew in every epoch and resume in the middle of one."""
        identity = self.facts["sha256"]
        return Batches(self.train_inputs, self.train_targets, batch_size, seed, rank=rank, world=world, identity=identity)

    def held_out(self, batch_size: int = 64) -> Pairs:
        """Return an iterator over each held-out digit once, always in the same order."""
        return in_order(self.test_inputs, self.test_targets, batch_size)


def digits(seed: int = 0) -> Digits:
    """Return the 1,797 digits, a fifth of each class held out; `seed` decides which.

    One mean and one standard deviation, of all training pixels, serve every pixel: the corner pixels never change,
    so their own standard deviation is 0. Alpaydin & Kaynak 1998, UCI Optical Recognition of Handwritten Digits.

    >>> digits().train_inputs.shape
    torch.Size([1437, 64])
    """
    # Imported here: scikit-learn takes a second, and draws from Python's generator while it loads.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(
        images, labels, test_size=HELD_OUT_SHARE, stratify=labels, random_state=seed
    )
    mean, std = train.mean(), train.std()
    return Digits(
        torch.tensor((train - mean) / std, dtype=torch.float32),
        torch.tensor(train_labels, dtype=torch.int64),
        torch.tensor((test - mean) / std, dtype=torch.float32),
        torch.tensor(test_labels, dtype=torch.int64),
    )
