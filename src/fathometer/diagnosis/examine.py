"""Measure any module once, and change nothing."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import isnan

import torch
from torch import Tensor, nn

from fathometer.activations import ACTIVATIONS
from fathometer.depth_profile import DepthProfile
from fathometer.diagnosis.admission import admit, copy_or_explain, first_words, run_or_explain
from fathometer.diagnosis.answer import Answer, answer_of
from fathometer.diagnosis.broken import Broken, find_broken
from fathometer.diagnosis.case import Case
from fathometer.diagnosis.facts import facts_of
from fathometer.diagnosis.first_look import Feeds, first_look
from fathometer.diagnosis.notes import not_deterministic, notes_on
from fathometer.errors import FathometerError, ModelError
from fathometer.instruments import (
    DepthPoints,
    Sounding,
    in_the_open,
    seed_generators,
    sound,
    unchanged,
)
from fathometer.instruments.depth_points import Layers

LOOK_AHEAD_STEPS, LOOK_AHEAD_RATE = 2, 1e-3
_MEASURED = (
    *("signal", "correlation", "spread", "rank", "token_spread", "gradient_correlation", "dead", "saturated"),
    *("branch_ratio", "shared", "passes", "normalised", "batch_norm", "attention_entropy", "attention_logits"),
)


@dataclass(frozen=True)
class Examination:
    """The measured profile, and what had to be said on the way.

    `activation` is the one heard most often ("linear" if none was). `notes` are sentences for the user; `broken` says where
    the first number is not finite, if one is not; `streams_outside` counts blocks whose stream is added up outside of them;
    `loss_scale` is what the loss was multiplied with to keep its gradient in range; `feeds` says which module's output is
    which one's input.
    """

    profile: DepthProfile
    points: DepthPoints
    activation: str = "linear"
    notes: tuple[str, ...] = ()
    broken: Broken | None = None
    streams_outside: int = 0
    loss_scale: float = 1.0
    feeds: Feeds = frozenset()


def examine(case: Case, *, optimizer: torch.optim.Optimizer | None = None, layers: Layers = None) -> Examination:
    """Measure a case by depth in at most four forward and backward passes, and leave everything as it was.

    The first pass, without gradients, finds the depth points; the second measures. Where no gradient arrives because a
    branch or the readout starts at zero, one or two small signed steps are taken first and the gradient is read again.
    """
    admit(case)
    with unchanged(case.model), in_the_open(case.model), _as_in_training(case.model):
        points, feeds, output = first_look(case, layers)
        first, differ, answers = [output], list[str](), list[Answer]()
        del output  # a large one is gone before the backward pass, and so is that of the second pass

        def hear(sounding: Sounding) -> None:
            differ.extend(not_deterministic(first.pop(), sounding.output))
            answers.append(answer_of(case, sounding))

        sounding = _sound(case, points, hear)
        notes = notes_on(case, points, sounding, answers[0]) + differ
        broken = find_broken(case, sounding, answers[0])
        gradients, steps = _gradients(case, points, sounding)
        values = _values(case.model, points, sounding, gradients)
        if optimizer is not None:
            values["update"] = _updates(case.model, points, sounding, optimizer)
        facts = facts_of(case, points, sounding, answers[0])
    if steps:
        notes.append(
            f"The network starts with a zero on the way: gradients are those after {steps} small step{'s'[: steps - 1]}."
        )
    names = tuple(point.name for point in points.points)
    profile = DepthProfile("measured", names, {key: tuple(column) for key, column in values.items()}, facts=facts)
    seen = (tuple(notes), broken, sounding.streams_outside, sounding.scale, feeds)
    return Examination(profile, points, usual_activation(sounding), *seen)


@contextmanager
def _as_in_training(model: nn.Module) -> Iterator[None]:
    if not model.training:
        model.train()
    with torch.inference_mode(False), torch.enable_grad():
        yield


def _sound(case: Case, points: DepthPoints, on_answer: Callable[[Sounding], None] = lambda sounding: None) -> Sounding:
    seed_generators(case.seed)
    try:
        return sound(
            case.model,
            lambda: run_or_explain(case),
            case.loss_of,
            points,
            num_samples=case.num_samples,
            on_answer=on_answer,
        )
    except FathometerError:
        raise
    except RuntimeError as problem:
        raise ModelError(
            f"The backward pass raised {type(problem).__name__}: {first_words(problem)}",
            "A gradient must be able to flow from the loss to the parameters",
            "Call loss.backward() by hand on this batch, inside torch.autograd.set_detect_anomaly(True), and mend what it names",
        ) from problem


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
            parameters[name].data.sub_(LOOK_AHEAD_RATE * gradient.sign())  # past the version: a graph may be held


def _values(
    model: nn.Module, points: DepthPoints, sounding: Sounding, gradients: list[float | None]
) -> dict[str, list[float | None]]:
    values = {name: [known_number(value) for value in sounding.columns.get(name, [])] for name in _MEASURED}
    last = next((value for value in reversed(gradients) if value), None)
    values["gradient"] = [None if value is None or last is None else known_number(value / last) for value in gradients]
    weights = {name: parameter for name, parameter in model.named_parameters() if parameter.ndim > 1}
    values["weight"] = _by_block(points, weights)
    moved = {name: g for name, g in sounding.parameter_gradients.items() if g is not None and name in weights}
    sizes = _by_block(points, moved)
    largest = max((size for size in sizes if size), default=None)
    values["weight_gradient"] = [None if size is None or largest is None else known_number(size / largest) for size in sizes]
    return {name: column for name, column in values.items() if any(value is not None for value in column)}


def _by_block(points: DepthPoints, tensors: Mapping[str, Tensor]) -> list[float | None]:
    """Return the root mean square of all tensors that lie in each block."""
    column: list[float | None] = []
    for names in points.held(tensors):
        inside = [tensors[name] for name in names]
        square = sum(float(torch.linalg.vector_norm(tensor.detach(), dtype=torch.float64)) ** 2 for tensor in inside)
        column.append((square / sum(tensor.numel() for tensor in inside)) ** 0.5 if inside else None)
    return column


def _updates(model: nn.Module, points: DepthPoints, sounding: Sounding, optimizer: torch.optim.Optimizer) -> list[float | None]:
    """Return how far one step of (a copy of) the optimizer moves each block's weights, over their size."""
    twin, stepper = copy_or_explain(
        (model, optimizer), "The first step of `optimizer` is taken on a copy, and without it none is"
    )
    before = dict(model.named_parameters())
    for name, parameter in twin.named_parameters():
        gradient = sounding.parameter_gradients.get(name)
        parameter.grad = None if gradient is None else gradient / sounding.scale
    try:
        stepper.step()
    except Exception as problem:
        given = f"A step of {type(optimizer).__name__} raised {type(problem).__name__}: {first_words(problem)}"
        raise ModelError(given, "Its first step is judged from one gradient", "Leave optimizer= out") from problem
    moved = {name: after.detach() - before[name].detach() for name, after in twin.named_parameters() if after.ndim > 1}
    sizes = zip(_by_block(points, moved), _by_block(points, {name: before[name] for name in moved}), strict=True)
    return [known_number(move / size) if move is not None and size else None for move, size in sizes]


def usual_activation(sounding: Sounding) -> str:
    """Return the activation that was heard most often."""
    known = [name for name, _ in sounding.heard.most_common() if name in ACTIVATIONS]
    return known[0] if known else "linear"


def known_number(value: float | None) -> float | None:
    """Return a number as a float; NaN is not known."""
    return None if value is None or isnan(value) else float(value)
