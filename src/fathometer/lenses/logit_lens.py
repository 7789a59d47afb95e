"""What a network would answer, if it ended after each block."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from fathometer.contract import LossFunction, batch_size, call, output_tensor, split_batch
from fathometer.instruments import unchanged
from fathometer.lenses.bypass import bypassing, without_cache
from fathometer.lenses.lesions import loss_batches
from fathometer.lenses.streaming import points_of
from fathometer.training.batch import answer


@dataclass(frozen=True)
class LogitLens:
    """By depth, from 0 (no block at all): the loss of the early answer, and how often it names the last one's first choice."""

    points: tuple[str, ...]
    loss: tuple[float, ...]
    agreement: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries and lists."""
        return {name: list(getattr(self, name)) for name in ("points", "loss", "agreement")}


def logit_lens(
    model: nn.Module, data: Any, *, loss_fn: LossFunction | None = None, layers: Iterable[str] | None = None
) -> LogitLens:
    """Return how good the answer is that the model's own readout gives from each depth, with all later blocks left out.

    For a stream that is read by a norm and a readout this is the logit lens (nostalgebraist 2020). `data` are (inputs, targets),
    a dictionary with `labels`, batches of either, or a data set; outputs are scores of classes. Raises `ModelError` where a block
    gives another shape than it takes.
    """
    batches = loss_batches(data)
    with unchanged(model), torch.no_grad(), without_cache(model):
        model.eval()
        points = points_of(model, split_batch(batches[0])[0], layers)
        table = torch.zeros(len(points) + 1, 2, dtype=torch.float64, device="cpu")
        for batch in batches:
            last = _choices(call(model, split_batch(batch)[0]))
            for depth in range(len(points) + 1):
                with bypassing(model, points, range(depth, len(points))):
                    table[depth] += _score(model, last, batch, loss_fn)
    loss, agreement = (table / sum(batch_size(split_batch(batch)[0]) for batch in batches)).T.tolist()
    return LogitLens(("input", *(point.name for point in points)), tuple(loss), tuple(agreement))


def _choices(output: Any) -> torch.Tensor:
    """Return the class with the highest score, at each place; classes are the last axis, or the second of images."""
    scores = output_tensor(output)
    return scores.argmax(1 if scores.ndim == 4 else -1)


def _score(model: nn.Module, last: torch.Tensor, batch: Any, loss_fn: LossFunction | None) -> torch.Tensor:
    """Return the loss and the share of agreement, both times the number of samples."""
    output, loss = answer(model, batch, loss_fn)
    same = (_choices(output) == last).double().mean()
    return batch_size(split_batch(batch)[0]) * torch.stack([loss.detach().double().cpu(), same.cpu()])
