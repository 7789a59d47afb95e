"""Networks to look into, trained here in minutes: recipes, not weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from fathometer.data import Dataset, find_dataset
from fathometer.errors import TargetError, unknown_name
from fathometer.lenses.ground_truth import GroundTruth, code_truth, english_truth, scene_truth
from fathometer.lenses.look import Look, look
from fathometer.networks import build
from fathometer.records import Asked
from fathometer.runs import train
from fathometer.runs.progress import OnProgress
from fathometer.spec import ConvNet, Spec, Transformer

CONTEXT = 128
_TEXT = Asked(steps=400, batch_size=16, optimizer="muon", learning_rate=1e-2, schedule="cosine", warmup=20, clip=1.0)


@dataclass(frozen=True)
class Reference:
    """What is built, on what it is trained and how, and what is known of its inputs."""

    spec: Spec
    asked: Asked
    data: str
    options: Mapping[str, Any]
    truth: Callable[[], GroundTruth]
    sentence: str

    def dataset(self) -> Dataset:
        """Return the data to train on."""
        return find_dataset(self.data, **self.options)


def _reader(depth: int, vocabulary: int) -> Transformer:
    return Transformer(depth=depth, width=64, heads=4, vocabulary=vocabulary, context=CONTEXT, tied=False)


_ENGLISH = {"unit": "character", "context": CONTEXT, "tokens": 1_000_000}
REFERENCES: Mapping[str, Reference] = {
    "scenes": Reference(
        ConvNet(depth=20, classes=42),
        Asked(steps=350, optimizer="adamw", learning_rate=3e-3, schedule="cosine", warmup=20),
        "scenes",
        {"samples": 8192, "textured": True},
        scene_truth,
        "a ResNet of 20 layers on drawn scenes",
    ),
    "english": Reference(
        _reader(12, 27),
        _TEXT,
        "language",
        _ENGLISH,
        english_truth,
        "a transformer of 12 blocks on generated English, character by character",
    ),
    "code": Reference(
        _reader(12, 256),
        _TEXT,
        "text",
        {"context": CONTEXT},
        code_truth,
        "a transformer of 12 blocks on Python's own sources, byte by byte",
    ),
    "english-24": Reference(
        _reader(24, 27),
        _TEXT,
        "language",
        _ENGLISH,
        english_truth,
        "a transformer of 24 blocks on generated English, character by character",
    ),
}


def find_reference(name: str) -> Reference:
    """Return the reference of that name; raise `TargetError` if there is none."""
    if name not in REFERENCES:
        raise unknown_name("reference network", name, REFERENCES, TargetError)
    return REFERENCES[name]


def train_reference(
    name: str, *, seed: int = 0, steps: int | None = None, folder: str | Path | None = None, progress: OnProgress | None = None
) -> nn.Module:
    """Return a reference network, trained as its recipe says; with a `folder` it is kept there and goes on after a stop.

    `steps` None takes as many as the recipe.
    """
    found = find_reference(name)
    steps = found.asked.steps if steps is None else steps
    asked = replace(found.asked, seed=seed, steps=steps, save_every=100 if folder else None)
    return train(found.spec, asked, data=found.dataset(), folder=folder, progress=progress).model


def look_at_reference(
    name: str, *, seed: int = 0, steps: int | None = None, folder: str | Path | None = None, progress: Any = None, **options: Any
) -> Look:
    """Train a reference network and look into it and its untrained twin, with all that is known of its inputs.

    `options` are those of `look`; `progress` is called with (what, done, total).
    """
    found = find_reference(name)
    tell = progress or (lambda what, done, total: None)
    model = train_reference(
        name,
        seed=seed,
        steps=steps,
        folder=folder,
        progress=lambda step, total, loss: tell(f"Training {found.sentence}", step, total),
    )
    untrained, truth, data = untrained_reference(name, seed=seed), found.truth(), found.dataset()
    return look(model, data, truth=truth, untrained=untrained, progress=progress, **options).named(found.sentence)


def untrained_reference(name: str, *, seed: int = 0) -> nn.Module:
    """Return the same network as it starts: what any network of its shape shows."""
    return build(find_reference(name).spec, seed=seed).eval()
