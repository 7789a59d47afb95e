"""What a network would answer, if it ended after each block."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from fathometer.contract import call, class_rows, known_targets, main_tensor, split_batch
from fathometer.errors import BatchError
from fathometer.instruments import unchanged
from fathometer.lenses.bypass import bypassing, without_cache
from fathometer.lenses.lesions import loss_batches
from fathometer.lenses.streaming import points_of


@dataclass(frozen=True)
class LogitLens:
    """By depth, from 0 (no block at all): the loss of the early answer, and how often it names the last one's first choice."""

    points: tuple[str, ...]
    loss: tuple[float, ...]
    agreement: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists."""
        return {name: list(getattr(self, name)) for name in ("points", "loss", "agreement")}


def logit_lens(model: nn.Module, data: Any, *, layers: Iterable[str] | None = None) -> LogitLens:
    """Return how good the answer is that the model's own readout gives from each depth, with all later blocks left out.

    For a stream that is read by a norm and a readout this is the logit lens (nostalgebraist 2020). `data` are (inputs, targets)
    with classes as targets, batches of them, or a data set. Raises `ModelError` where a block gives another shape than it takes.
    """
    batches = loss_batches(data)
    with unchanged(model), torch.no_grad(), without_cache(model):
        model.eval()
        points = points_of(model, split_batch(batches[0])[0], layers)
        table = torch.zeros(len(points) + 1, 2, dtype=torch.float64)
        for batch in batches:
            last = _logits(model, batch)
            for depth in range(len(points) + 1):
                with bypassing(model, points, range(depth, len(points))):
                    table[depth] += _score(_logits(model, batch), last, batch)
    loss, agreement = (table / sum(_count(batch) for batch in batches)).T.tolist()
    return LogitLens(("input", *(point.name for point in points)), tuple(loss), tuple(agreement))


def _logits(model: nn.Module, batch: Any) -> Any:
    return main_tensor(call(model, split_batch(batch)[0]))


def _targets(batch: Any) -> torch.Tensor:
    targets = known_targets(*split_batch(batch))
    if not isinstance(targets, torch.Tensor) or targets.is_floating_point():
        raise BatchError("The targets are no classes", "A logit lens reads the scores of classes", "Give integer targets")
    return targets


def _count(batch: Any) -> int:
    return int((_targets(batch) >= 0).sum())


def _score(logits: Any, last: Any, batch: Any) -> torch.Tensor:
    targets = _targets(batch)
    rows, final, flat = class_rows(logits, targets), class_rows(last, targets), targets.reshape(-1)
    known = flat >= 0
    loss = nn.functional.cross_entropy(rows[known].float(), flat[known].long(), reduction="sum")
    same = (rows[known].argmax(1) == final[known].argmax(1)).sum()
    return torch.stack([loss.double(), same.double()])
