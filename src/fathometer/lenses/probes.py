"""What a linear reader finds in each layer: probe accuracy by depth."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from fathometer.contract import batch_size, take_samples
from fathometer.data import Digits
from fathometer.errors import BatchError
from fathometer.lenses.representations import represent

HELD_OUT_SHARE = 0.25
BATCH_SIZE = 256
MAX_ITERATIONS = 100


@dataclass(frozen=True)
class Probes:
    """Held-out accuracy of a linear probe at each depth point; point 0 is "input".

    `control` is the accuracy with shuffled labels, which no layer can know: what lies above it was in the layer and not
    in the probe. `chance` is the share of the commonest class among the held-out samples.
    """

    points: tuple[str, ...]
    accuracy: tuple[float, ...]
    control: tuple[float, ...]
    chance: float
    num_train: int
    num_held_out: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def probe(model: nn.Module, data: Any, labels: Any = None, *, layers: Iterable[str] | None = None, seed: int = 0) -> Probes:
    """Return what a logistic regression on the standardised activations of each layer knows of the labels.

    `data` are inputs (a tensor, tuple or mapping) with `labels` `(samples,)`; or a `Digits`, which brings its labels and
    its held-out part; or batches (inputs, labels). Without a held-out part a quarter of each class is kept, decided by
    `seed`. `layers` are names or patterns; None finds the repeated blocks. The model is not changed.
    Alain & Bengio 2016; the control: Hewitt & Liang 2019, "Designing and interpreting probes with control tasks".
    """
    batches, classes, num_train = _read(data, labels)
    train, held_out = _split(classes, num_train, seed)
    shuffled = np.random.default_rng(seed).permutation(classes)
    found = represent(model, batches, layers=layers)
    accuracy, control = [], []
    for array in found.arrays:
        scaler = StandardScaler().fit(array[train])
        known, new = scaler.transform(array[train]), scaler.transform(array[held_out])
        accuracy.append(_accuracy(known, classes[train], new, classes[held_out]))
        control.append(_accuracy(known, shuffled[train], new, shuffled[held_out]))
    chance = float(np.unique(classes[held_out], return_counts=True)[1].max() / len(held_out))
    return Probes(found.points, tuple(accuracy), tuple(control), chance, len(train), len(held_out))


def _accuracy(known: np.ndarray, labels: np.ndarray, new: np.ndarray, new_labels: np.ndarray) -> float:
    with warnings.catch_warnings():
        # A probe that is not at its optimum yet is still an honest lower bound on what the layer holds.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return float(LogisticRegression(max_iter=MAX_ITERATIONS).fit(known, labels).score(new, new_labels))


def _read(data: Any, labels: Any) -> tuple[list[Any], np.ndarray, int | None]:
    """Return batches of inputs, all labels, and how many samples at the front are for training (None: split them)."""
    num_train = None
    if isinstance(data, Digits):
        num_train = len(data.train_inputs)
        labels = torch.cat([data.train_targets, data.test_targets]) if labels is None else labels
        batches = list(torch.cat([data.train_inputs, data.test_inputs]).split(BATCH_SIZE))
    elif labels is None:
        pairs = _pairs(data)
        batches, labels = [inputs for inputs, _ in pairs], np.concatenate([_array(targets) for _, targets in pairs])
    else:
        batches = _cut(data)
    return batches, _check_labels(_array(labels), sum(map(batch_size, batches))), num_train


def _pairs(data: Any) -> list[tuple[Any, Any]]:
    pairs = [] if isinstance(data, Tensor | Mapping) else list(data)
    if not pairs or not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise BatchError("There are no labels", "A probe learns to read them", "Give `labels`, or batches (inputs, labels)")
    return [(pair[0], pair[1]) for pair in pairs]


def _cut(inputs: Any) -> list[Any]:
    """Cut inputs, whatever holds them, into batches; the 1-tuple keeps a tuple of two from being read as a pair."""
    starts = range(0, batch_size(inputs), BATCH_SIZE)
    return [take_samples((inputs,), slice(start, start + BATCH_SIZE))[0] for start in starts]


def _array(labels: Any) -> np.ndarray:
    return labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)


def _check_labels(labels: np.ndarray, expected: int) -> np.ndarray:
    if labels.shape != (expected,):
        raise BatchError(f"The labels have shape {labels.shape}", f"There are {expected} samples", "Give one label for each")
    counts = np.unique(labels, return_counts=True)[1]
    if labels.dtype.kind == "f" or len(counts) < 2 or counts.min() < 2:
        raise BatchError(
            f"The labels are {labels.dtype} with {len(counts)} values, the rarest {counts.min()} times",
            "A probe needs at least two classes, each with at least two samples",
            "Give class numbers or names, and more samples",
        )
    return labels


def _split(labels: np.ndarray, num_train: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    everything = np.arange(len(labels))
    if num_train is not None:
        return everything[:num_train], everything[num_train:]
    share = max(HELD_OUT_SHARE, len(np.unique(labels)) / len(labels))  # at least one of each class
    train, held_out = train_test_split(everything, test_size=share, stratify=labels, random_state=seed)
    return train, held_out
