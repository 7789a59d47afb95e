"""What a linear reader finds in each layer: probe accuracy by depth."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from fathometer.contract import batch_size
from fathometer.data import Digits
from fathometer.errors import BatchError
from fathometer.lenses.expected_layer import Expected, expected_layer
from fathometer.lenses.readers import Kind, read
from fathometer.lenses.representations import represent
from fathometer.lenses.streaming import in_batches

Part = tuple[np.ndarray, np.ndarray]  # the items that a probe is fitted on, and those that judge it
HELD_OUT_SHARE = 0.25
BATCH_SIZE = 256


@dataclass(frozen=True)
class Probes:
    """Held-out accuracy of a linear probe at each depth point; point 0 is "input".

    `control` is the accuracy with labels that say nothing, which no layer can know: what lies above it was in the layer and
    not in the probe. `chance` is the share of the commonest class among the held-out samples. `right` says which held-out items
    each point's probe got right, and `groups` of which sample each is a part.
    """

    points: tuple[str, ...]
    accuracy: tuple[float, ...]
    control: tuple[float, ...]
    chance: float
    num_train: int
    num_held_out: int
    right: Bool[np.ndarray, "point item"] = field(default_factory=lambda: np.zeros((0, 0), bool), repr=False, compare=False)
    groups: Int64[np.ndarray, " item"] = field(default_factory=lambda: np.zeros(0, np.int64), repr=False, compare=False)

    @cached_property
    def expected(self) -> Expected:
        """Return the expected layer with its bootstrap interval; see `expected_layer`."""
        return expected_layer(self.right, self.groups, self.chance)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists."""
        table = {name: getattr(self, name) for name in ("points", "accuracy", "control", "chance", "num_train", "num_held_out")}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in table.items()}
        return {**plain, "expected": self.expected.to_dict()}


def probe(
    model: nn.Module,
    data: Any,
    labels: Any = None,
    *,
    layers: Iterable[str] | None = None,
    kind: Kind = "logistic",
    types: Any = None,
    folds: int | None = None,
    seed: int = 0,
) -> Probes:
    """Return what a linear reader of the standardised activations of each layer knows of the labels.

    `data` are inputs (a tensor, tuple or mapping) with `labels` `(samples,)`; or a `Digits`, which brings its labels and
    its held-out part; or batches (inputs, labels). Without a held-out part a quarter of each class is kept, decided by
    `seed`. `layers` are names or patterns; None finds the repeated blocks. `kind` "logistic" is scikit-learn's regression,
    "ridge" its quick twin in closed form. The control has shuffled labels; with `types`, one for each sample, each type has one
    random label, which a large probe can learn by heart. With `folds` every sample is held out once. The model is not changed.
    Alain & Bengio 2016; the control: Hewitt & Liang 2019, "Designing and interpreting probes with control tasks".

    >>> import torch
    >>> from fathometer import build
    >>> x = torch.randn(80, 64)
    >>> found = probe(build("mlp-5"), x, (x[:, 0] > 0).long(), kind="ridge")
    >>> found.points[0], len(found.accuracy), found.num_held_out
    ('input', 6, 20)
    """
    batches, classes, num_train = _read(data, labels)
    train, held_out = _split(classes, num_train, seed)
    useless = control_labels(classes, None if types is None else _array(types), seed)
    found = represent(model, batches, layers=layers)
    parts = [(train, held_out)] if folds is None else fold_parts(np.arange(len(classes)), folds, seed)
    return read_all(found.points, found.arrays, classes, useless, parts=parts, kind=kind)


def read_all(
    points: tuple[str, ...],
    arrays: Iterable[np.ndarray],
    labels: np.ndarray,
    useless: np.ndarray,
    *,
    parts: Sequence[Part],
    kind: str = "logistic",
    groups: np.ndarray | None = None,
) -> Probes:
    """Return the probes of some arrays `(item, unit)`, one for each point; each of the `parts` is fitted and judged by itself."""
    right, control = [], []
    for array in arrays:
        for answers, found in ((labels, right), (useless, control)):
            read_right = [read(kind, array[train], answers[train], array[held], answers[held]) for train, held in parts]
            found.append(np.concatenate(read_right))
    held_out = np.concatenate([held for _, held in parts])
    chance = float(np.unique(labels[held_out], return_counts=True)[1].max() / len(held_out))
    accuracy = tuple(float(row.mean()) for row in right)
    own = np.arange(len(held_out)) if groups is None else groups[held_out]
    controls = tuple(float(row.mean()) for row in control)
    return Probes(points, accuracy, controls, chance, len(parts[0][0]), len(held_out), np.array(right), own)


def fold_parts(groups: np.ndarray, folds: int, seed: int, *, first: bool = False) -> list[Part]:
    """Return (fitted on, held out) for each of some folds, a group whole in one of them; the `first` alone, if asked.

    Raises `BatchError` where there are fewer groups than folds, or fewer than two folds.
    """
    names, numbers = np.unique(groups, return_inverse=True)
    if not 2 <= folds <= len(names):
        raise BatchError(f"`folds` is {folds}", f"There are {len(names)} samples, and each fold holds some", "Try folds = 3")
    fold = np.random.default_rng(seed).permutation(len(names))[numbers] % folds
    return [(np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(1 if first else folds)]


def control_labels(labels: np.ndarray, types: np.ndarray | None, seed: int) -> np.ndarray:
    """Return labels that say nothing: shuffled, or for each type one that is drawn as often as it comes."""
    draw = np.random.default_rng(seed)
    if types is None:
        return draw.permutation(labels)
    if len(types) != len(labels):
        raise BatchError(f"There are {len(types)} types for {len(labels)} labels", "Each label has a type", "Give one for each")
    _, numbers = np.unique(types, return_inverse=True)
    return draw.choice(labels, size=int(numbers.max()) + 1)[numbers]


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
        batches = in_batches(data, BATCH_SIZE)
    return batches, _check_labels(_array(labels), sum(map(batch_size, batches))), num_train


def _pairs(data: Any) -> list[tuple[Any, Any]]:
    pairs = [] if isinstance(data, Tensor | Mapping) else list(data)
    if not pairs or not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise BatchError("There are no labels", "A probe learns to read them", "Give `labels`, or batches (inputs, labels)")
    return [(pair[0], pair[1]) for pair in pairs]


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
