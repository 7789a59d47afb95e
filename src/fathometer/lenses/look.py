"""All lenses on one network: what each layer learned."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fathometer import json_text
from fathometer.contract import LossFunction, are_classes, known_targets, split_batch, tensors_in
from fathometer.data import Dataset
from fathometer.errors import BatchError, ModelError
from fathometer.lenses import look_page, look_words
from fathometer.lenses.attention_distance import AttentionDistance, attention_distance
from fathometer.lenses.features import Features, features, points_of_unchanged
from fathometer.lenses.ground_truth import GroundTruth
from fathometer.lenses.lesions import Lesions, lesion, loss_batches
from fathometer.lenses.levels import LevelProbes, probe_levels
from fathometer.lenses.logit_lens import LogitLens, logit_lens
from fathometer.lenses.probes import Probes, probe
from fathometer.lenses.readers import Kind, check_kind
from fathometer.lenses.shrink import removal_order
from fathometer.lenses.similarity import Similarity, similarity
from fathometer.lenses.streaming import in_batches
from fathometer.lenses.token_truth import token_truth
from fathometer.report import framed, save

BATCH_SIZE = 64
MOST_BATCHES = 16
LOSS_BATCHES, LOSS_TARGETS = 4, 4096  # at most, and enough, for lesions, which run the network over and over
LIKED_OF = 512  # samples in which the best places are looked for
FEW = 40  # samples that a probe of their classes needs
SCHEMA = "fathometer.look/1"
Progress = Callable[[str, int, int], object]


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen of a network; what its inputs or its loss do not allow is None.

    `levels` and `untrained` are probes of the ground truth in the network and in its untrained twin; `classes` those of the
    targets. `dropped` has the blocks in the order in which they could go, and the loss without the first 0, 1, 2, … of them.
    """

    network: str
    similarity: Similarity
    levels: LevelProbes | None = None
    untrained: LevelProbes | None = None
    classes: Probes | None = None
    lesions: Lesions | None = None
    dropped: tuple[tuple[str, ...], tuple[float, ...]] | None = None
    lens: LogitLens | None = None
    distance: AttentionDistance | None = None
    features: tuple[Features, ...] | None = None
    notes: tuple[str, ...] = ()

    @property
    def points(self) -> tuple[str, ...]:
        """Return the names of the depth points, "input" first."""
        return self.similarity.points

    def named(self, name: str) -> "Look":
        """Return the same, with another name for the network."""
        return replace(self, network=name)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists, without pictures."""
        parts = ("similarity", "levels", "untrained", "classes", "lesions", "lens", "distance")
        told: dict[str, Any] = {name: None if (part := getattr(self, name)) is None else part.to_dict() for name in parts}
        dropped = None if self.dropped is None else {"order": list(self.dropped[0]), "loss": list(self.dropped[1])}
        shown = [one.to_dict() for one in self.features or ()]
        return {
            "schema": SCHEMA,
            "network": self.network,
            **told,
            "dropped": dropped,
            "features": shown,
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        """Return strict JSON."""
        return json_text.dump(self.to_dict())

    def page(self) -> Any:
        """Return the report of what was seen."""
        return look_page.look_page(self)

    def save_html(self, path: str | Path) -> Path:
        """Write the report as one HTML file that opens offline."""
        return save(self.page(), path)

    def figure(self) -> Any:
        """Return the picture that says most: expected layers where there are levels, else similarity."""
        return look_page.main_chart(self)

    def __str__(self) -> str:
        return look_words.look_text(self)

    def _repr_html_(self) -> str:
        return framed(look_page.look_page(self))


def look(
    model: nn.Module,
    data: Any,
    *,
    truth: GroundTruth | None = None,
    untrained: nn.Module | None = None,
    loss_fn: LossFunction | None = None,
    layers: Iterable[str] | None = None,
    kind: Kind = "logistic",
    progress: Progress | None = None,
) -> Look:
    """Return what each layer of a network learned, how the layers relate, and which could go; the model is not changed.

    `data` are inputs, (inputs, targets), batches of either, or a data set, whose held-out part is used. With `truth` each of its
    levels is probed, in the `untrained` twin too, which is the control; else the tokens of a text, or the classes that are the
    targets. `kind` is the reader of the probes. `progress` is called with (what, done, total).

    >>> from fathometer import build
    >>> seen = look(build("mlp-5"), (torch.randn(80, 64), torch.arange(80) % 10), kind="ridge")
    >>> seen.points[:2], len(seen.lesions.skipped)
    (('input', 'blocks.0'), 5)
    """
    check_kind(kind)
    layers = None if layers is None else list(layers)
    batches = _batches(data)
    inputs, few = [split_batch(batch)[0] for batch in batches], _few(batches)
    plain = _one_tensor(inputs)
    questions = truth if truth is not None else _questions(plain)
    judged, probes = _has_loss(few), {"kind": kind, "layers": layers}
    lossy = {"loss_fn": loss_fn, "layers": layers}
    found: dict[str, Any] = {"similarity": similarity(model, inputs, layers=layers), "lesions": None}
    # Which lens is whose part of the answer, what it is called, whether it applies, and how it looks.
    lenses: dict[str, tuple[str, bool, Callable[[], Any]]] = {
        "levels": ("Probing each level", questions is not None, lambda: _levels(model, questions, **probes)),
        "untrained": ("Probing the untrained twin", questions is not None, lambda: _levels(untrained, questions, **probes)),
        "classes": ("Probing the classes", questions is None, lambda: _classes(model, batches, **probes)),
        "lesions": ("Leaving out blocks", judged, lambda: lesion(model, few, progress=progress, **lossy)),
        "dropped": (
            "Leaving out what matters least",
            judged,
            lambda: _dropped(model, few, found["lesions"], progress=progress, **lossy),
        ),
        "lens": ("Reading early answers", judged and _are_classes(few), lambda: logit_lens(model, few, **lossy)),
        "distance": ("Measuring attention", True, lambda: attention_distance(model, inputs[0], layers=layers)),
        "features": ("Finding what units like", True, lambda: _features(model, plain, layers, truth)),
    }
    notes = list[str]()
    for place, (part, (what, applies, see)) in enumerate(lenses.items(), 1):
        if progress is not None:
            progress("Looking", place, len(lenses))
        try:
            found[part] = see() if applies else None
        except (ModelError, BatchError) as problem:  # what this network does not allow is a note, not the end
            notes.append(f"{what}: {problem}")
    return Look(type(model).__name__, **found, notes=tuple(notes))


def _batches(data: Any) -> list[Any]:
    if isinstance(data, Dataset):
        return list(islice(data.held_out(BATCH_SIZE), MOST_BATCHES))
    if isinstance(data, Tensor):
        return in_batches(data, BATCH_SIZE)
    if isinstance(data, tuple | list) and len(data) == 2 and isinstance(data[1], Tensor):
        return loss_batches(data)
    return [data] if isinstance(data, Mapping) else list(data)


def _one_tensor(inputs: list[Any]) -> Tensor | None:
    """Return all inputs as one tensor, where each batch is one image or text tensor and all fit together."""
    tensors = []
    for batch in inputs:
        named = dict(tensors_in(batch))
        main = next((named[key] for key in ("", "input_ids", "pixel_values") if key in named), None)
        if main is None or main.ndim not in (2, 4) or (main.ndim == 2 and main.is_floating_point()):
            return None
        if set(named) - {"", "input_ids", "pixel_values", "labels"}:
            return None
        tensors.append(main)
    return torch.cat(tensors) if len({tensor.shape[1:] for tensor in tensors}) == 1 else None


def _questions(plain: Tensor | None) -> GroundTruth | None:
    return token_truth(plain) if plain is not None and plain.ndim == 2 else None


def _levels(model: nn.Module | None, truth: GroundTruth | None, **options: Any) -> LevelProbes | None:
    return None if model is None or truth is None else probe_levels(model, truth, **options)


def _has_loss(batches: list[Any]) -> bool:
    return all(known_targets(*split_batch(batch)) is not None for batch in batches)


def _are_classes(batches: list[Any]) -> bool:
    return all(are_classes(known_targets(*split_batch(batch))) for batch in batches)


def _classes(model: nn.Module, batches: list[Any], *, layers: Any, kind: Kind) -> Probes | None:
    """Return probes of the targets, where these are one class for each sample and there are enough."""
    pairs = [split_batch(batch) for batch in batches]
    targets = [known_targets(*pair) for pair in pairs]
    if not all(isinstance(each, Tensor) and each.ndim == 1 and not each.is_floating_point() for each in targets):
        return None
    labels = torch.cat(targets).cpu().numpy()
    if len(labels) < FEW or np.unique(labels, return_counts=True)[1].min() < 4 or len(np.unique(labels)) < 2:
        return None
    return probe(model, list(zip([pair[0] for pair in pairs], targets, strict=True)), layers=layers, kind=kind)


def _few(batches: list[Any]) -> list[Any]:
    """Return the first batches, until they hold enough targets."""
    kept, count = list[Any](), 0
    for batch in batches[:LOSS_BATCHES]:
        targets = known_targets(*split_batch(batch))
        if count < LOSS_TARGETS:
            kept.append(batch)
            count += targets.numel() if isinstance(targets, Tensor) else 0
    return kept


def _dropped(model: nn.Module, batches: list[Any], lesions: Lesions | None, **options: Any) -> Any:
    """Return which blocks could go, and the losses without them; None where nothing was learned that could be lost."""
    if lesions is None or not lesions.has_learned:
        return None
    order, curve, points = removal_order(model, batches, **options)
    return tuple(points[place].name for place in order), tuple(curve)


def _features(model: nn.Module, inputs: Tensor | None, layers: Any, truth: GroundTruth | None) -> tuple[Features, ...] | None:
    """Return what units like of the first block, the middle one and the last, or of those that were chosen."""
    if inputs is None:
        return None
    inputs = inputs[:LIKED_OF]
    names = [point.name for point in points_of_unchanged(model, inputs[:BATCH_SIZE], layers)]
    places = sorted({0, len(names) // 2, len(names) - 1})
    decode = None if truth is None else truth.decode
    return tuple(features(model, inputs, names[place], layers=layers, decode=decode) for place in places)
