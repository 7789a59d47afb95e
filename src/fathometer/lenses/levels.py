"""Probes of every level of the ground truth: what is learned where."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from fathometer.lenses.expected_layer import Expected, Relation, order_of
from fathometer.lenses.ground_truth import GroundTruth
from fathometer.lenses.probes import Probes, control_labels, fold_parts, read_all
from fathometer.lenses.readers import Kind
from fathometer.lenses.representations import represent_places

FOLDS = 3  # one of them is held out
BATCH_SIZE = 64


@dataclass(frozen=True)
class LevelProbes:
    """Probes of one network by the name of the level, from simple to abstract."""

    truth: str
    probes: Mapping[str, Probes]

    @property
    def expected(self) -> dict[str, Expected]:
        """Return the expected layer of each level."""
        return {name: probes.expected for name, probes in self.probes.items()}

    @property
    def order(self) -> tuple[tuple[str, str, Relation], ...]:
        """Return for each two neighbouring levels which is learned before the other, if they are told apart."""
        return order_of(self.expected)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists."""
        levels = {name: probes.to_dict() for name, probes in self.probes.items()}
        return {"truth": self.truth, "levels": levels, "order": [list(pair) for pair in self.order]}


def probe_levels(
    model: nn.Module,
    truth: GroundTruth,
    *,
    kind: Kind = "logistic",
    folds: int | None = None,
    layers: Iterable[str] | None = None,
    seed: int = 0,
) -> LevelProbes:
    """Return what each layer knows of each level at the places that are asked for, beside shuffled labels.

    Two thirds of the samples fit the probes, the rest judge them: no sample is on both sides. With `folds` each sample judges
    once. The inputs run through once.
    """
    levels = truth.levels
    samples = np.concatenate([level.samples for level in levels])
    places = np.concatenate([level.places for level in levels])
    found = represent_places(model, truth.inputs.split(BATCH_SIZE), samples, places, shape=truth.shape, layers=layers)
    probes, start = dict[str, Probes](), 0
    for level in levels:
        stop = start + len(level.labels)
        useless = control_labels(level.labels, None, seed)
        parts = fold_parts(level.samples, folds or FOLDS, seed, first=folds is None)
        arrays = (array[start:stop] for array in found.arrays)
        probes[level.name] = read_all(found.points, arrays, level.labels, useless, parts=parts, kind=kind, groups=level.samples)
        start = stop
    return LevelProbes(truth.name, probes)
