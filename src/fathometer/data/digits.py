"""Real handwriting that every scikit-learn brings along: 8×8 digits."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from fathometer.data.dataset import Samples, class_facts

HELD_OUT_SHARE = 0.2


@dataclass(frozen=True, eq=False)
class Digits(Samples):
    """Handwritten digits in two parts: inputs `(samples, 64)`, standardised; targets 0 to 9."""

    train_inputs: Float[Tensor, "train 64"]
    train_targets: Int64[Tensor, " train"]
    test_inputs: Float[Tensor, "test 64"]
    test_targets: Int64[Tensor, " test"]


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
    parts = (
        torch.tensor((train - mean) / std, dtype=torch.float32),
        torch.tensor(train_labels, dtype=torch.int64),
        torch.tensor((test - mean) / std, dtype=torch.float32),
        torch.tensor(test_labels, dtype=torch.int64),
    )
    return Digits("digits", class_facts(*parts, classes=10), *parts)
