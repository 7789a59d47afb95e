"""All lenses on one network: what each layer learned, and which could go."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fathometer import json_text
from fathometer.contract import LossFunction, known_targets, split_batch, tensors_in
from fathometer.data import Dataset
from fathometer.errors import BatchError, FathometerError, ModelError
from fathometer.lenses import look_page, look_words
from fathometer.lenses.attention_distance import AttentionDistance, attention_distance
from fathometer.lenses.features import Features, features
from fathometer.lenses.ground_truth import GroundTruth
from fathometer.lenses.lesions import Lesions, lesion, loss_batches
from fathometer.lenses.levels import LevelProbes, probe_levels
from fathometer.lenses.logit_lens import LogitLens, logit_lens
from fathometer.lenses.probes import Probes, probe
from fathometer.lenses.readers import Kind
from fathometer.lenses.shrink import removal_order
from fathometer.lenses.similarity import Similarity, similarity
from fathometer.lenses.streaming import in_batches
from fathometer.lenses.token_truth import token_truth
from fathometer.report import save

BATCH_SIZE = 64
MOST_BATCHES = 16
LOSS_BATCHES = 4  # for lesions, which run the network twice for each block
FEW = 40  # samples that a probe of their classes needs
SEEN_LAYERS = 3  # of which features are shown
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
    levels: LevelProbes | None
    untrained: LevelProbes | None
    classes: Probes | None
    lesions: Lesions | None
    dropped: tuple[tuple[str, ...], tuple[float, ...]] | None
    lens: LogitLens | None
    distance: AttentionDistance | None
    features: tuple[Features, ...]
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
        shown = [one.to_dict() for one in self.features]
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
        return look_page.notebook_html(self)


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
    """
    tell = progress or (lambda what, done, total: None)
    batches = _batches(data)
    inputs = [split_batch(batch)[0] for batch in batches]
    plain = _one_tensor(inputs)
    notes = list[str]()

    def seen(what: str, function: Callable[[], Any]) -> Any:
        tell(what, 0, 1)
        try:
            return function()
        except (ModelError, BatchError) as problem:
            notes.append(f"{what}: {problem}")
            return None
        finally:
            tell(what, 1, 1)

    layers = None if layers is None else list(layers)
    alike = similarity(model, inputs, layers=layers)
    tell("Comparing layers", 1, 1)
    questions = truth if truth is not None else _questions(plain)
    levels, control = None, None
    if questions is not None:
        levels = seen("Probing each level", lambda: probe_levels(model, questions, kind=kind, layers=layers))
        if untrained is not None:
            control = seen("Probing the untrained twin", lambda: probe_levels(untrained, questions, kind=kind, layers=layers))
    few = batches[:LOSS_BATCHES]
    judged = _has_loss(few, loss_fn)
    lesions = (
        seen("Leaving out blocks", lambda: lesion(model, few, loss_fn=loss_fn, layers=layers, progress=progress))
        if judged
        else None
    )
    dropped = (
        seen("Leaving out the blocks that matter least", lambda: _dropped(model, few, loss_fn, layers, progress))
        if lesions
        else None
    )
    return Look(
        type(model).__name__,
        alike,
        levels,
        control,
        _classes(model, batches, plain, layers, kind) if questions is None else None,
        lesions,
        dropped,
        seen("Reading early answers", lambda: logit_lens(model, few, loss_fn=loss_fn, layers=layers))
        if judged and _are_classes(few)
        else None,
        seen("Measuring how far attention looks", lambda: attention_distance(model, inputs[0], layers=layers)),
        ()
        if plain is None
        else seen("Finding what units like", lambda: _features(model, plain, alike.points, layers, truth)) or (),
        tuple(notes),
    )


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


def _has_loss(batches: list[Any], loss_fn: LossFunction | None) -> bool:
    return all(known_targets(*split_batch(batch)) is not None for batch in batches)


def _are_classes(batches: list[Any]) -> bool:
    targets = [known_targets(*split_batch(batch)) for batch in batches]
    return all(isinstance(each, Tensor) and not each.is_floating_point() and each.dtype != torch.bool for each in targets)


def _classes(model: nn.Module, batches: list[Any], plain: Any, layers: Any, kind: Kind) -> Probes | None:
    """Return probes of the targets, where these are one class for each sample and there are enough."""
    pairs = [split_batch(batch) for batch in batches]
    targets = [known_targets(*pair) for pair in pairs]
    if not all(isinstance(each, Tensor) and each.ndim == 1 and not each.is_floating_point() for each in targets):
        return None
    labels = torch.cat(targets).cpu().numpy()
    if len(labels) < FEW or np.unique(labels, return_counts=True)[1].min() < 4 or len(np.unique(labels)) < 2:
        return None
    return probe(model, list(zip([pair[0] for pair in pairs], targets, strict=True)), layers=layers, kind=kind)


def _dropped(model: nn.Module, batches: list[Any], loss_fn: Any, layers: Any, progress: Any) -> Any:
    order, curve, points = removal_order(model, batches, loss_fn=loss_fn, layers=layers, progress=progress)
    return tuple(points[place].name for place in order), tuple(curve)


def _features(
    model: nn.Module, inputs: Tensor, names: tuple[str, ...], layers: Any, truth: GroundTruth | None
) -> tuple[Features, ...]:
    if layers is not None:
        return ()
    blocks = names[1:]
    places = sorted({0, len(blocks) // 2, len(blocks) - 1}) if len(blocks) >= SEEN_LAYERS else range(len(blocks))
    try:
        return tuple(features(model, inputs, blocks[place], decode=None if truth is None else truth.decode) for place in places)
    except FathometerError:
        return ()
