"""Training, told as it goes: losses, accuracy, and every layer."""

from collections.abc import Mapping, Sequence
from math import isfinite
from time import monotonic
from typing import Any

from torch import nn

from fathometer.diagnosis import Watch, watch
from fathometer.instruments.recorder_reading import Reading
from fathometer.lab.answers import LOGARITHMIC, MOST_ROWS, evenly, scaled
from fathometer.lab.orders import Order, Tell
from fathometer.lab.work.bench import Bench, Pair, set_up
from fathometer.training import begin, evaluate, go_on

TELL_EVERY = 0.12  # seconds: a screen shows no more than it is told so often
MOST_COLUMNS, MOST_SCORES = 60, 12  # measured steps, and looks at what is held out, over a run
FEW = 512  # held-out samples that are looked at on the way
SHOWN = ("gradient", "signal", "update")


def work_train(order: Order, tell: Tell) -> dict[str, Any]:
    """Train the network, and tell losses, accuracy and layers as they come."""
    bench = set_up(order)
    return {"kind": "train", **teach(bench, tell), "remedy": bench.remedy}


def teach(bench: Bench, tell: Tell) -> dict[str, Any]:
    """Train the network of a bench in place, and return what came of it."""
    asked, material = bench.asked, bench.material
    tell({"event": "begin", "steps": asked.steps, "blind_loss": material.blind_loss, "remedy": bench.remedy})
    course = begin(bench.model, asked, bench.multipliers)
    every = max(1, asked.steps // MOST_COLUMNS)
    few = material.list_of((material.held_out[0][:FEW], material.held_out[1][:FEW]), 256)
    with watch(bench.model, course.optimizer, every=every, price="economy") as seen:
        news = _News(bench.model, seen, few, max(1, asked.steps // MOST_SCORES), tell)
        fitted = go_on(course, material.batches(asked.seed), observers=[seen], on_step=news)
    news.flush()
    score = None if fitted.stopped_at else evaluate(bench.model, material.list_of(material.held_out, 256))
    return {
        "status": fitted.status,
        "stopped_at": fitted.stopped_at,
        "steps": len(fitted.losses),
        "seconds": round(fitted.seconds, 2),
        "loss": None if score is None else score.loss,
        "accuracy": None if score is None else score.accuracy,
        "blind_loss": material.blind_loss,
        "outcome": outcome(None if score is None else score.loss, material.blind_loss, _last(fitted.losses)),
        "alerts": [{"name": alert.name, "step": alert.step, "sentence": alert.sentence} for alert in seen.alerts[:6]],
    }


def outcome(loss: float | None, blind: float, training: float = 0.0) -> str:
    """Return what a run came to, in a word: held-out loss, loss of the best blind answer, and training loss at the end.

    >>> outcome(0.2, 2.3), outcome(2.0, 2.3), outcome(2.29, 2.3, 2.3), outcome(3.9, 2.3, 0.1), outcome(None, 2.3)
    ('learned', 'learned a little', 'learned nothing', 'learned by heart', 'diverged')
    """
    if loss is None or not isfinite(loss):
        return "diverged"
    if loss > 0.95 * blind:
        return "learned by heart" if training < 0.5 * blind else "learned nothing"
    return "learned" if loss < 0.5 * blind else "learned a little"


def _last(losses: Sequence[float]) -> float:
    some = losses[-10:]
    return sum(some) / len(some) if some else float("inf")


class _News:
    """What is told on the way, gathered so that a fast run does not flood the page."""

    def __init__(self, model: nn.Module, seen: Watch, few: list[Pair], score_every: int, tell: Tell) -> None:
        self.model, self.seen, self.few, self.score_every, self.tell = model, seen, few, score_every, tell
        self.losses: list[tuple[int, float]] = []
        self.told_at, self.last_read = 0.0, 0

    def __call__(self, step: int, loss: float) -> None:
        self.losses.append((step, round(loss, 5)))
        for reading in [one for one in self.seen.readings if one.step > self.last_read]:
            self.last_read = reading.step
            self.tell({"event": "layers", "step": reading.step, **_columns(reading)})
        if step == 1 or step % self.score_every == 0:
            score = evaluate(self.model, self.few)
            self.tell({"event": "score", "step": step, "accuracy": score.accuracy, "loss": score.loss})
        if monotonic() - self.told_at > TELL_EVERY:
            self.flush()

    def flush(self) -> None:
        """Tell the losses that were not told yet."""
        if self.losses:
            self.tell({"event": "steps", "losses": self.losses})
        self.losses, self.told_at = [], monotonic()


def _columns(reading: Reading) -> Mapping[str, Any]:
    """Return some rows of a measured step: logarithms, from the first layer to the last."""
    picked = evenly(len(reading.points), MOST_ROWS)
    assert set(SHOWN) <= set(LOGARITHMIC)
    shown = {name: scaled(name, reading.columns[name], picked) for name in SHOWN if name in reading.columns}
    return {"at": [index + 1 for index in picked], "columns": shown}
