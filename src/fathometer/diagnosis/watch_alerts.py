"""What a watch may say during training, each by its stable name."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from fathometer.errors import unknown_name

Gravity = Literal["warning", "failure"]


@dataclass(frozen=True)
class AlertKind:
    """The words for one kind of alert: what it is, what to do, when not to believe it."""

    title: str
    advice: str
    doubt: str


ALERTS: dict[str, AlertKind] = {
    "non_finite": AlertKind(
        "A number is not finite",
        "Stop: go back to the last checkpoint; the flight record shows which layer moved first.",
        "A step that a GradScaler passes over is none; it is not told.",
    ),
    "loss_spike": AlertKind(
        "The loss jumps far out of its own past",
        "One spike mends itself; several ask for a lower rate, clipping, or a look at the data of that step.",
        "A task that changes on purpose (a curriculum, a new data set) makes the loss jump as well.",
    ),
    "bad_batch": AlertKind(
        "The inputs of this batch are unlike all before",
        "Look at the batch of this step: its scale, its padding, its file.",
        "Inputs that are rare but right look alike.",
    ),
    "wrong_labels": AlertKind(
        "The inputs are as always and the weights are well, but the loss jumps: the targets do not fit",
        "Look at the targets of this step.",
        "A batch that is hard but right looks alike.",
    ),
    "loss_rising": AlertKind(
        "The loss climbs and does not come back",
        "Lower the rate, or go back to a checkpoint from before.",
        "A task that gets harder on purpose looks alike.",
    ),
    "update_size": AlertKind(
        "Steps are too large for the weights they move",
        "Lower the learning rate or warm up longer.",
        "Weights that start at zero (a zero-init branch) move by more than their size at first; they are left out then.",
    ),
    "attention_logit_growth": AlertKind(
        "Attention logits grow without bound",
        "Normalise queries and keys (QK-norm), or lower their rate.",
        "A task that copies one token needs sharp attention; there logits level off.",
    ),
    "attention_entropy_collapse": AlertKind(
        "A head comes to look at next to one key",
        "Normalise queries and keys (QK-norm), or lower their rate.",
        "Heads that copy or look at the previous token are sharp and healthy: only a whole block that is sharp counts.",
    ),
    "dead_units": AlertKind(
        "Units die: they are 0 for every sample that was looked at",
        "Lower the rate, or take a leaky activation.",
        "Sparse codes are meant to be mostly 0; units that fire for few samples look dead in some of them.",
    ),
    "exploding_signal": AlertKind(
        "Activations grow far beyond what they were",
        "Normalise, decay the weights, or lower the rate.",
        "With pre-norm a stream may grow tenfold without harm.",
    ),
    "overflow_ahead": AlertKind(
        "Activations come near the largest number of float16",
        "Take bfloat16, or bound the stream that grows.",
        "Only float16 is looked at, where it is the type of the activations themselves.",
    ),
    "exploding_gradient": AlertKind(
        "The gradient is far larger than it was",
        "Clip, or lower the rate.",
        "Clipping hides it: it is looked at as the optimizer sees it.",
    ),
    "vanishing_gradient": AlertKind(
        "The gradient of early layers fades against that of late ones",
        "Normalise first (pre-norm), or warm up longer.",
        "A network whose early layers have learnt enough fades as well, slowly.",
    ),
    "correlation_collapse": AlertKind(
        "Samples become one vector in depth",
        "Lower the rate, warm up longer, or normalise first (pre-norm).",
        "Classes that are told apart perfectly collapse within each class: there, the loss falls.",
    ),
}


@dataclass(frozen=True)
class Alert:
    """One thing that a watch says: name, the step, a sentence with a number, and where: the layer that moved first, first.

    `gravity` is "failure" for what has happened, "warning" for what is on its way.
    """

    name: str
    step: int
    sentence: str
    gravity: Gravity = "warning"
    points: tuple[str, ...] = ()
    number: float | None = None
    limit: float | None = None
    facts: Mapping[str, float | str | None] = field(default_factory=dict)

    def __str__(self) -> str:
        where = f" First moved: {self.points[0]}." if self.points else ""
        return f"step {self.step:,}: {self.sentence}{where} {ALERTS[self.name].advice}"

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dictionary, as a line of the record holds it."""
        return {**asdict(self), "points": list(self.points), "facts": dict(self.facts)}


def known_alerts(names: object) -> tuple[str, ...]:
    """Return names of alerts as they were given, one or several; raise `SpecError` for one that is none."""
    listed = (names,) if isinstance(names, str) else tuple(names)  # pyrefly: ignore[bad-argument-type]
    for name in listed:
        if name not in ALERTS:
            raise unknown_name("alert", str(name), ALERTS)
    return listed
