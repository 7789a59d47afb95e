"""Measure any module once, and change nothing."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from math import isnan, log
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.activations import ACTIVATIONS
from fathometer.contract import class_rows, main_tensor
from fathometer.depth_profile import DepthProfile
from fathometer.diagnosis.admission import admit, check_inputs_kept, run_or_explain
from fathometer.diagnosis.case import Case
from fathometer.instruments import (
    DepthPoints,
    Sounding,
    as_rows,
    correlation,
    find_depth_points,
    first_non_finite,
    listen,
    second_moment,
    sound,
    unchanged,
)

LOOK_AHEAD_STEPS, LOOK_AHEAD_RATE = 2, 1e-3
_MEASURED = ("signal", "correlation", "spread", "rank", "gradient_correlation", "dead", "saturated", "branch_ratio", "shared")


@dataclass(frozen=True)
class Examination:
    """The measured profile, and what had to be said on the way.

    `activation` is the one heard most often ("linear" if none was). `notes` are sentences for the user; `broken_at` names the
    first module whose output is not finite, or is None;
    `looked_ahead` is the number of optimizer steps after which gradients were read, 0 unless a branch starts at zero.
    """

    profile: DepthProfile
    points: DepthPoints
    activation: str = "linear"
    notes: tuple[str, ...] = ()
    broken_at: str | None = None
    looked_ahead: int = 0


def examine(case: Case, *, optimizer: torch.optim.Optimizer | None = None, layers: Iterable[str] | None = None) -> Examination:
    """Measure a case by depth in at most four forward and backward passes, and leave everything as it was.

    The first pass, without gradients, finds the depth points; the second measures. Where no gradient arrives because a
    branch or the readout starts at zero, one or two small signed steps are taken first and the gradient is read again.
    """
    admit(case)
    with unchanged(case.model), _as_in_training(case.model):
        points, output = _first_look(case, layers)
        sounding = _sound(case, points)
        notes = [*_notes(case, points), *_not_deterministic(output, sounding.output)]
        broken = _broken(case, sounding)
        gradients, steps = _gradients(case, points, sounding)
        values = _values(case.model, points, sounding, gradients)
        if optimizer is not None:
            values["update"] = _updates(case.model, points, sounding, optimizer)
        facts = _facts(case, points, sounding)
    if steps:
        notes.append(
            f"The network starts with a zero on the way: gradients are those after {steps} small step{'s'[: steps - 1]}."
        )
    names = tuple(point.name for point in points.points)
    profile = DepthProfile("measured", names, {key: tuple(column) for key, column in values.items()}, facts=facts)
    return Examination(profile, points, _usual_activation(sounding), tuple(notes), broken, steps)


@contextmanager
def _as_in_training(model: nn.Module) -> Iterator[None]:
    if not model.training:
        model.train()
    with torch.inference_mode(False), torch.enable_grad():
        yield


def _first_look(case: Case, layers: Iterable[str] | None) -> tuple[DepthPoints, Any]:
    trace: list[tuple[str, int]] = []
    torch.manual_seed(case.seed)
    with torch.no_grad(), listen(case.model, on_call=lambda call: trace.append((call.name, call.index))):
        output = check_inputs_kept(case)
    return find_depth_points(case.model, trace, layers), output


def _sound(case: Case, points: DepthPoints) -> Sounding:
    torch.manual_seed(case.seed)
    return sound(case.model, lambda: run_or_explain(case), case.loss_of, points, num_samples=case.num_samples)


def _broken(case: Case, sounding: Sounding) -> str | None:
    """Return where the first number stopped being finite, in the forward pass or in the backward pass."""
    output = main_tensor(sounding.output)
    if output is not None and not bool(torch.isfinite(output).all()):
        torch.manual_seed(case.seed)
        return first_non_finite(case.model, lambda: run_or_explain(case)) or "the output"
    if sounding.loss is not None and not bool(torch.isfinite(sounding.loss).all()):
        return "the loss"
    bad = [name for name, gradient in sounding.parameter_gradients.items() if gradient is not None and not _finite(gradient)]
    return f"the gradient of {bad[-1]}" if bad else None


def _gradients(case: Case, points: DepthPoints, sounding: Sounding) -> tuple[list[float | None], int]:
    """Return the gradient's second moments, read after small steps if at first none arrives somewhere."""
    nothing: list[float | None] = [None] * sounding.num_points
    column = sounding.columns.get("gradient", nothing)
    latest, steps = sounding, 0
    while steps < LOOK_AHEAD_STEPS and any(value == 0 for value in column) and case.model.training:
        _signed_step(case.model, latest)
        latest, steps = _sound(case, points), steps + 1
        column = latest.columns.get("gradient", column)
    return column, steps


@torch.no_grad()
def _signed_step(model: nn.Module, sounding: Sounding) -> None:
    """Move each weight by Adam's first step: the rate times the sign of its gradient."""
    parameters = dict(model.named_parameters())
    for name, gradient in sounding.parameter_gradients.items():
        if gradient is not None:
            parameters[name].sub_(LOOK_AHEAD_RATE * gradient.sign())


def _values(
    model: nn.Module, points: DepthPoints, sounding: Sounding, gradients: list[float | None]
) -> dict[str, list[float | None]]:
    values = {name: [_number(value) for value in sounding.columns.get(name, [])] for name in _MEASURED}
    last = next((value for value in reversed(gradients) if value), None)
    values["gradient"] = [None if value is None or last is None else _number(value / last) for value in gradients]
    weights = {name: parameter for name, parameter in model.named_parameters() if parameter.ndim > 1}
    values["weight"] = _by_block(points, weights)
    moved = {name: g for name, g in sounding.parameter_gradients.items() if g is not None and name in weights}
    sizes = _by_block(points, moved)
    largest = max((size for size in sizes if size), default=None)
    values["weight_gradient"] = [None if size is None or largest is None else _number(size / largest) for size in sizes]
    return {name: column for name, column in values.items() if any(value is not None for value in column)}


def _by_block(points: DepthPoints, tensors: Mapping[str, Tensor]) -> list[float | None]:
    """Return the root mean square of all tensors that lie in each block."""
    column: list[float | None] = []
    for point in points.points:
        inside = [tensor for name, tensor in tensors.items() if point.holds(name)]
        square = sum(float(torch.linalg.vector_norm(tensor.detach(), dtype=torch.float64)) ** 2 for tensor in inside)
        column.append((square / sum(tensor.numel() for tensor in inside)) ** 0.5 if inside else None)
    return column


def _updates(model: nn.Module, points: DepthPoints, sounding: Sounding, optimizer: torch.optim.Optimizer) -> list[float | None]:
    """Return how far one step of (a copy of) the optimizer moves each block's weights, over their size."""
    twin, stepper = deepcopy((model, optimizer))
    before = dict(model.named_parameters())
    for name, parameter in twin.named_parameters():
        gradient = sounding.parameter_gradients.get(name)
        parameter.grad = None if gradient is None else gradient / sounding.scale
    stepper.step()
    moved = {name: after.detach() - before[name].detach() for name, after in twin.named_parameters() if after.ndim > 1}
    sizes = zip(_by_block(points, moved), _by_block(points, {name: before[name] for name in moved}), strict=True)
    return [_number(move / size) if move is not None and size else None for move, size in sizes]


def _facts(case: Case, points: DepthPoints, sounding: Sounding) -> dict[str, float | str | None]:
    output, entering = main_tensor(sounding.output), _entering(case)
    facts: dict[str, float | str | None] = {
        "batch_size": case.num_samples,
        "num_parameters": sum(parameter.numel() for parameter in case.model.parameters()),
        "depth_points": points.found_as,
        "loss": None if sounding.loss is None or not case.has_loss else float(sounding.loss.detach()),
        "input_signal": None if entering is None else second_moment(entering),
        "input_correlation": None if entering is None else correlation(entering),
    }
    targets = case.targets
    if output is not None and isinstance(targets, Tensor) and not targets.is_floating_point() and case.loss_fn is None:
        rows = class_rows(output.detach(), targets).double()
        facts["cross_entropy"] = float(nn.functional.cross_entropy(rows, targets.reshape(-1).long()))
        facts["chance_cross_entropy"] = log(rows.shape[1])
    return facts


def _usual_activation(sounding: Sounding) -> str:
    known = [name for name, _ in sounding.heard.most_common() if name in ACTIVATIONS]
    return known[0] if known else "linear"


def _entering(case: Case) -> Tensor | None:
    tensor = main_tensor(case.inputs)
    return None if tensor is None else as_rows(tensor, case.num_samples)


def _notes(case: Case, points: DepthPoints) -> list[str]:
    notes = []
    if points.found_as == "layers":
        notes.append("No repeated blocks were found: each layer with weights is a depth point, with the activations after it.")
    if case.num_samples == 1:
        notes.append("The batch holds one sample: correlation, rank and dead units need more (16 are enough).")
    names: dict[int, list[str]] = {}
    for name, parameter in case.model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    notes += [f"Tied: {' and '.join(tied)} are one parameter, counted once." for tied in names.values() if len(tied) > 1]
    if case.targets is None and case.loss_fn is None:
        notes.append("No targets were given: the gradient starts from a seeded random direction unless the model has a loss.")
    return notes


def _not_deterministic(first: Any, second: Any) -> list[str]:
    one, two = main_tensor(first), main_tensor(second)
    if one is None or two is None or one.shape != two.shape or not bool(torch.isfinite(one).all() and torch.isfinite(two).all()):
        return []
    difference = float((one - two).detach().abs().max())
    scale = float(one.detach().abs().max())
    # Without gradients torch may choose other kernels; a hundred rounding errors are no sign of chance.
    if difference <= 100 * torch.finfo(one.dtype).eps * max(scale, torch.finfo(one.dtype).tiny):
        return []
    return [
        f"The forward pass is not deterministic: two passes with the same seed and batch differ by {difference:.2g} "
        f"(outputs up to {scale:.2g}). Its numbers hold for one pass only."
    ]


def _number(value: float | None) -> float | None:
    return None if value is None or isnan(value) else float(value)


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())
