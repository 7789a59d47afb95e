"""What the answer says: read before the backward pass, and let go."""

from dataclasses import dataclass
from math import isfinite, log

import torch
from torch import Tensor, nn

from fathometer.contract import IGNORED, class_rows, main_tensor, map_tensors
from fathometer.diagnosis.case import Case
from fathometer.errors import FathometerError
from fathometer.instruments import Sounding, all_finite

NUMBERS_AT_ONCE = 2**20  # of the outputs, in float64: 8 MiB
Facts = dict[str, float | int | str | None]


@dataclass(frozen=True)
class Answer:
    """What is known of an output: whether all of it is finite, whether there is a loss to speak of, and how good it is."""

    is_finite: bool
    has_loss: bool
    facts: Facts


def answer_of(case: Case, sounding: Sounding) -> Answer:
    """Return what the output of a sounding says, whose loss is known."""
    output = main_tensor(sounding.output)
    facts = _cross_entropy_facts(case, sounding) | _squared_error_facts(case, sounding)
    return Answer(output is None or all_finite(output), case.has_loss(sounding.output), facts)


def _cross_entropy_facts(case: Case, sounding: Sounding) -> Facts:
    """Return the cross-entropy of the outputs, and that of a fair guess, where the loss is a cross-entropy on any scale."""
    output, targets = main_tensor(sounding.output), case.targets
    if output is None or not isinstance(targets, Tensor) or targets.is_floating_point() or targets.dtype == torch.bool:
        return {}
    try:
        rows = class_rows(output.detach(), targets)
    except FathometerError:  # the user's own loss makes something else of these integers
        return {}
    loss, chance = _cross_entropy(rows, targets.reshape(-1).long()), log(rows.shape[1])
    if case.loss_fn is not None and not _is_scaled(case, sounding, loss / chance if chance else 0.0):
        return {}
    facts: Facts = {"cross_entropy": loss, "chance_cross_entropy": chance, "classes": rows.shape[1]}
    return facts | {"outputs_are_probabilities": int(_are_probabilities(rows))}


def _squared_error_facts(case: Case, sounding: Sounding) -> Facts:
    """Return the squared error of the outputs over that of the best constant, where the loss is one on any scale."""
    output, targets = main_tensor(sounding.output), case.targets
    if output is None or not isinstance(targets, Tensor) or not targets.is_floating_point() or output.shape != targets.shape:
        return {}
    values, wanted = output.detach().double(), targets.double()
    few = max(case.num_samples, 2)  # the mean of a few targets lies nearer to them than that of all would: n / (n - 1)
    loss, least = float((values - wanted).square().mean()), float((wanted - wanted.mean(dim=0)).square().mean()) * few / (few - 1)
    fair = float(wanted.square().mean())
    if case.loss_fn is not None and not _is_scaled(case, sounding, loss / fair if fair else 0.0):
        return {}
    return {"squared_error": loss, "least_squared_error": least} if least > 0 else {}


def _cross_entropy(rows: Tensor, targets: Tensor) -> float:
    """Return the mean cross-entropy in float64, of which only some rows are made at a time."""
    picked = []
    for some, wanted in zip(_parts(rows), targets.split(_rows_at_once(rows)), strict=True):
        at = wanted.where(wanted != IGNORED, 0).unsqueeze(1)
        picked.append(nn.functional.log_softmax(some.double(), dim=1).gather(1, at))
    only_class = targets.where(targets == IGNORED, 0)
    return float(nn.functional.nll_loss(torch.cat(picked), only_class, ignore_index=IGNORED))


def _are_probabilities(rows: Tensor) -> bool:
    """Return whether each row lies between 0 and 1 and sums to 1, up to rounding in 16 bits."""
    return rows.shape[1] > 1 and all(map(_lie_on_simplex, _parts(rows)))


def _lie_on_simplex(rows: Tensor) -> bool:
    in_range = bool(((rows >= 0) & (rows <= 1)).all())
    return in_range and bool(((rows.double().sum(dim=1) - 1).abs() < 0.02).all())


def _parts(rows: Tensor) -> tuple[Tensor, ...]:
    return rows.split(_rows_at_once(rows))


def _rows_at_once(rows: Tensor) -> int:
    return max(NUMBERS_AT_ONCE // max(rows.shape[1], 1), 1)


@torch.no_grad()
def _is_scaled(case: Case, sounding: Sounding, ratio: float) -> bool:
    """Return whether a loss function is cross-entropy times a constant: over that of outputs of 0 it has the same ratio."""
    assert case.loss_fn is not None
    assert sounding.loss is not None
    try:
        fair = case.loss_fn(map_tensors(sounding.output, torch.zeros_like), case.targets)
        own = float(sounding.loss) / float(fair)
    except Exception:  # whatever a user's function thinks of zeros, it is then not known to be a cross-entropy
        return False
    return isfinite(own) and abs(own - ratio) <= 0.02 * ratio  # bfloat16 rounds by up to 0.4%
