"""One step: forward, backward, clip, move; or the word that stops it."""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fathometer.contract import LossFunction, known_targets, split_batch
from fathometer.training.batch import answer, device_of, log_sum_squared, parts
from fathometer.training.course import Course
from fathometer.training.parallel import average, whole
from fathometer.training.precision import LEAST_SCALE, casting
from fathometer.training.schedules import set_rates

Observer = Callable[[int, nn.Module, Tensor], object]
NotFinite = Literal["loss", "gradient", "weight"]


def take_step(
    course: Course, batch: Any, loss_fn: LossFunction | None = None, observers: Sequence[Observer] = ()
) -> NotFinite | None:
    """Train on one batch; return what is not finite, with the weights left as they were, or None.

    A loss is looked at before its backward pass; a gradient where its norm is known: with `clip`, and in float16. There the
    scaler passes over steps whose gradients are too large for its scale and lowers it; they stop the run once the scale is
    at the end. Observers are not called for a step that is passed over.
    """
    set_rates(course.optimizer, course.step, course.asked)
    course.optimizer.zero_grad()
    loss, value = _backward(course, batch, loss_fn)
    if not isfinite(value):
        return "loss"
    stop = _move(course, loss, observers)
    if stop is None:
        course.losses.append(value)
    return stop


def _backward(course: Course, batch: Any, loss_fn: LossFunction | None) -> tuple[Tensor, float]:
    """Add up the gradients of all parts of a batch, and return its loss; stop at a part whose loss is not finite."""
    asked, device = course.asked, device_of(course.model)
    total, value = torch.zeros((), device=device), 0.0
    for part, share in parts(batch, asked.accumulate):
        with casting(asked.precision, device):
            output, loss = answer(course.model, part, loss_fn)
            aim = loss
            if asked.z_loss is not None:
                aim = loss + asked.z_loss * log_sum_squared(output, known_targets(*split_batch(part)))
        value += share * average(loss.item(), device)
        if not isfinite(value):
            break
        total = total + share * loss.detach()
        aim = aim if share == 1 else share * aim
        (aim if course.scaler is None else course.scaler.scale(aim)).backward()
    return total, value


def _move(course: Course, loss: Tensor, observers: Sequence[Observer]) -> NotFinite | None:
    """Move the weights along their gradients, unless these are not finite."""
    asked, scaler, optimizer = course.asked, course.scaler, course.optimizer
    if scaler is not None:
        scaler.unscale_(optimizer)
        course.gradient_norm = _norm(course.parameters)
        if not isfinite(course.gradient_norm):
            scaler.step(optimizer)  # which it is not: the scaler has seen the same
            scaler.update()
            return "gradient" if scaler.get_scale() < LEAST_SCALE else None
    for observer in observers:
        observer(course.step + 1, course.model, loss)
    if asked.clip is not None:
        course.gradient_norm = whole(torch.nn.utils.clip_grad_norm_(course.parameters, asked.clip)).item()
        if not isfinite(course.gradient_norm):
            return "gradient"
    if scaler is None:
        optimizer.step()
    else:
        scaler.step(optimizer)
        scaler.update()
    return None


def _norm(parameters: Sequence[nn.Parameter]) -> float:
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return whole(torch.nn.utils.get_total_norm(gradients)).item()
