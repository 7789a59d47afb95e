"""Loss and accuracy on data that is not trained on."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import IGNORED, LossFunction, are_classes, batch_size, class_rows, main_tensor, split_batch
from fathometer.errors import BatchError
from fathometer.training.batch import answer, device_of, move


@dataclass(frozen=True)
class Evaluation:
    """Mean loss over all samples; the share of right answers, None for targets that are not classes."""

    loss: float
    accuracy: float | None


@torch.no_grad()
def evaluate(model: nn.Module, batches: Iterable[Any], *, loss_fn: LossFunction | None = None) -> Evaluation:
    """Return loss and accuracy over finite batches (inputs, targets), with the model in eval mode for that time."""
    device, samples, loss, hits = device_of(model), 0, 0.0, list[Tensor | None]()
    with evaluating(model):
        for batch in batches:
            here = move(batch, device)
            output, batch_loss = answer(model, here, loss_fn)
            inputs, targets = split_batch(here)
            size = batch_size(inputs)
            samples, loss = samples + size, loss + float(batch_loss) * size
            hits.append(_hits(output, targets))
    if samples == 0:
        raise BatchError("There are no batches to evaluate on", "At least one is needed", "Check how the data are read")
    known = [hit for hit in hits if hit is not None]
    accuracy = float(torch.cat(known).double().mean()) if len(known) == len(hits) else None
    return Evaluation(loss / samples, accuracy)


def _hits(output: Any, targets: Any) -> Tensor | None:
    """Return for each target whether the largest output names it; None where these are not classes."""
    values = main_tensor(output)
    if values is None or not are_classes(targets):
        return None
    try:
        answers = class_rows(values, targets).argmax(1)
    except BatchError:  # the user's own loss makes something else of these integers
        return None
    flat = targets.reshape(-1)
    return (answers == flat)[flat != IGNORED]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put every module in eval mode for the time of a `with` block, then each one back as it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
