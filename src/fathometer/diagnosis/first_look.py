"""The first pass: which modules ran, in which order, and what fed what."""

from typing import Any
from weakref import ref

import torch
from torch import Tensor

from fathometer.diagnosis.admission import check_inputs_kept
from fathometer.diagnosis.case import Case
from fathometer.instruments import Call, DepthPoints, Recorder, find_depth_points, listen, seed_generators, step_by_step
from fathometer.instruments.depth_points import Layers

Feeds = frozenset[tuple[str, str]]


def first_look(case: Case, layers: Layers) -> tuple[DepthPoints, Feeds, Any]:
    """Call the model once without gradients; return its depth points, what feeds what, and its output.

    "What feeds what" are pairs of names: the one's output, untouched, is an input of the other.
    """
    recorder = Recorder()
    feeds: set[tuple[str, str]] = set()
    made: dict[int, tuple[ref[Tensor], list[str]]] = {}

    def hear(call: Call) -> None:
        recorder.leave(call)
        for value in call.inputs:
            feeds.update((maker, call.name) for maker in _makers(made, value))
        if isinstance(call.output, Tensor):
            made[id(call.output)] = (ref(call.output), [*_makers(made, call.output), call.name])

    seed_generators(case.seed)
    ears = {"on_enter": recorder.enter, "on_call": hear}
    with torch.no_grad(), listen(case.model, **ears), step_by_step(case.model, **ears):
        output = check_inputs_kept(case)
    return find_depth_points(case.model, recorder.trace, layers), frozenset(feeds), output


def _makers(made: dict[int, tuple[ref[Tensor], list[str]]], value: object) -> list[str]:
    """Return the names of the modules that gave out this very tensor."""
    tensor, names = made.get(id(value), (None, []))
    return names if tensor is not None and tensor() is value else []
