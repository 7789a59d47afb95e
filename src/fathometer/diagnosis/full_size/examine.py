"""Measure a network whose weights are not made: the same taps and rules."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import sqrt

import torch
from torch import nn

from fathometer.depth_profile import COLUMNS, DepthProfile
from fathometer.diagnosis.admission import run_or_explain
from fathometer.diagnosis.answer import Answer, answer_of
from fathometer.diagnosis.broken import find_broken
from fathometer.diagnosis.case import Case
from fathometer.diagnosis.examine import Examination, known_number, usual_activation
from fathometer.diagnosis.facts import facts_of
from fathometer.diagnosis.first_look import first_look
from fathometer.diagnosis.notes import notes_on
from fathometer.errors import ModelError
from fathometer.implicit import ImplicitWeight, implicit_weights, replay, session_of
from fathometer.instruments import DepthPoints, Sounding, in_the_open, seed_generators, sound
from fathometer.instruments.depth_points import Layers
from fathometer.networks import Network

Progress = Callable[[str, int, int], None]


def examine_unmade(case: Case, *, layers: Layers = None, progress: Progress | None = None) -> Examination:
    """Measure a case whose model holds implicit weights, in one forward and one backward pass of one block at a time.

    A first look, in which products are 0 and cost nothing, finds the depth points. The model is changed for good (its blocks
    are run again in the backward pass); it is one of our own.
    """
    model = case.model.train()
    with in_the_open(model), torch.inference_mode(False), torch.enable_grad():
        points, feeds = points_of(case, layers)
        replay(model, single_blocks(points), _steps(len(points.points), progress))
        seed_generators(case.seed)
        answers: list[Answer] = []
        sounding = sound(
            model,
            lambda: run_or_explain(case),
            case.loss_of,
            points,
            num_samples=case.num_samples,
            on_answer=lambda sounding: answers.append(answer_of(case, sounding)),
        )
        model.requires_grad_(True)  # vectors were left out to spare their gradients; they are not frozen
        notes = notes_on(case, points, _with_gradients(sounding, model), answers[0])
        values = columns_of(model, points, sounding)
        facts = facts_of(case, points, sounding, answers[0]) | {"weights_made": _made(model)}
        broken = find_broken(case, sounding, answers[0])
    names = tuple(point.name for point in points.points)
    profile = DepthProfile("measured", names, {key: tuple(column) for key, column in values.items()}, facts=facts)
    return Examination(
        profile, points, usual_activation(sounding), tuple(notes), broken, sounding.streams_outside, sounding.scale, feeds
    )


def points_of(case: Case, layers: Layers) -> tuple[DepthPoints, frozenset[tuple[str, str]]]:
    """Return the depth points; let a matrix that is used more than once in a pass remember what it was asked."""
    session = session_of(case.model)
    if session is None:
        raise ModelError("No weight is implicit", "At least one is needed here", "Use fathometer.preflight(model, batch)")
    session.is_probing = True
    try:
        points, feeds, _ = first_look(_glimpse(case), layers)
    finally:
        session.is_probing = False
    for weight in implicit_weights(case.model).values():
        for matrix in weight.matrices:
            matrix.remembers = matrix.calls > 1
    return points, feeds


def _glimpse(case: Case) -> Case:
    """Return a case of one of our networks with two samples, of one token each: what runs does not depend on how many."""
    if not isinstance(case.model, Network) or not isinstance(case.inputs, torch.Tensor):
        return case
    few = case.inputs[:2]
    return replace(case, inputs=few if few.is_floating_point() else few[:, :1])


def single_blocks(points: DepthPoints) -> list[str]:
    """Return the depth points that are one module, which can be run again by itself."""
    names = [point.enter for point in points.points if point.enter == point.leave and not point.is_step]
    return [name for name in dict.fromkeys(names) if not any(name.startswith(f"{other}.") for other in names)]


def _steps(blocks: int, progress: Progress | None) -> Callable[[], None] | None:
    if progress is None:
        return None
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress("block", done, 2 * blocks)

    return step


def _with_gradients(sounding: Sounding, model: nn.Module) -> Sounding:
    """Tell for each implicit weight whether a gradient reached it; None stands for one that the loss does not depend on."""
    for name, weight in implicit_weights(model).items():
        used = any(matrix.tally.uses for matrix in weight.matrices)
        sounding.parameter_gradients[name] = torch.zeros((), device="cpu") if used else None
    return sounding


def columns_of(model: nn.Module, points: DepthPoints, sounding: Sounding) -> dict[str, list[float | None]]:
    """Return the columns of the profile, those of the weights from what their matrices have counted."""
    values = {name: [known_number(value) for value in column] for name, column in sounding.columns.items() if name in COLUMNS}
    gradients = values.get("gradient", [])
    last = next((value for value in reversed(gradients) if value), None)
    values["gradient"] = [None if value is None or last is None else known_number(value / last) for value in gradients]
    matrices = {name: parameter for name, parameter in model.named_parameters() if parameter.ndim > 1}
    held, gradient = points.held(matrices), sounding.parameter_gradients
    squares = {name: _squares(matrix, gradient.get(name)) for name, matrix in matrices.items()}
    values["weight"] = [_root(names, matrices, {name: squares[name][0] for name in names}) for names in held]
    sizes = [_root(names, matrices, {name: squares[name][1] for name in names}) for names in held]
    largest = max((size for size in sizes if size), default=None)
    values["weight_gradient"] = [None if size is None or largest is None else known_number(size / largest) for size in sizes]
    return {name: column for name, column in values.items() if any(value is not None for value in column)}


def _squares(matrix: torch.Tensor, gradient: torch.Tensor | None) -> tuple[float, float]:
    """Return the sums of squares of a matrix (its expectation) and of its gradient."""
    if isinstance(matrix, ImplicitWeight):
        return matrix.matrix.std**2 * matrix.numel(), sum(one.tally.norm_square() for one in matrix.matrices)
    norms = (matrix, torch.zeros(1, device="cpu") if gradient is None else gradient)
    first, second = (float(torch.linalg.vector_norm(tensor.detach(), dtype=torch.float64)) ** 2 for tensor in norms)
    return first, second


def _root(names: list[str], matrices: Mapping[str, torch.Tensor], squares: dict[str, float]) -> float | None:
    if not names:
        return None
    total = sum(squares.values())
    return sqrt(total / sum(matrices[name].numel() for name in names)) if total >= 0 else None


def _made(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if not isinstance(parameter, ImplicitWeight))
