"""The tasks of the lab: what goes in, what comes out, for whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Task:
    """A task as a network's ends see it, known before any data are made; a test holds it against the data themselves.

    `options` make the data set of this name; `correlation` is the mean cosine of two inputs, which theory starts from.
    """

    data: str
    label: str
    question: str
    families: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: int = 0
    outputs: int = 0
    channels: int = 1
    side: int = 0
    context: int = 0
    correlation: float = 0.0


TASKS: dict[str, Task] = {
    "digits": Task(
        "digits",
        "Digits",
        "Which digit was written by hand?",
        ("mlp", "convnet"),
        inputs=64,
        outputs=10,
        side=8,
        correlation=0.47,
    ),
    "sawtooth": Task(
        "sawtooth",
        "Sawtooth",
        "Does the number lie on the upper half of a folded line?",
        ("mlp",),
        {"folds": 3},
        inputs=1,
        outputs=2,
    ),
    "hierarchy": Task(
        "hierarchy",
        "Hierarchy",
        "Which class was it, that was written in parts, in parts, in parts?",
        ("mlp",),
        {"samples": 12_000},
        inputs=64,
        outputs=8,
    ),
    "scenes": Task(
        "scenes",
        "Scenes",
        "Which object stands in the drawn scene?",
        ("mlp", "convnet"),
        {"samples": 1024, "size": 16},
        inputs=768,
        outputs=6,
        channels=3,
        side=16,
    ),
    "english": Task(
        "language",
        "English",
        "Which word comes next?",
        ("transformer",),
        {"context": 16, "tokens": 40_000},
        outputs=189,
        context=16,
    ),
}
