"""Which runs can train as one stack, and how the work is cut."""

from collections.abc import Hashable, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import nn

from fathometer.parametrizations import WIDTH_AWARE
from fathometer.records import Asked
from fathometer.runs.stacked_data import Source, fits
from fathometer.runs.stacked_optimizer import ADAM_KERNELS
from fathometer.runs.stacked_run import Run, deepest_first
from fathometer.spec import Mlp, Spec
from fathometer.training import SCHEDULES

AnyRun = tuple[Spec | nn.Module, Asked]

# What may differ within a stack; each of these values of a spec stands for all.
MAY_DIFFER_IN_SPEC: dict[str, Any] = {"depth": 1, "init": "he", "gain": 1.0, "bias_std": None, "branch_scale": 1.0}
MAY_DIFFER_IN_SPEC |= {"base_width": None, "base_depth": None}
MAY_DIFFER_IN_ASKED = ("optimizer", "learning_rate", "momentum", "weight_decay", "schedule", "warmup", "clip", "seed")
MAY_DIFFER_IN_ASKED += ("decay", "final_rate")
EQUAL_IN_ASKED = ("steps", "batch_size")  # anything else that is not its default is for `train` alone

LAYER_NUMBERS = 2**18  # weights and signals of one layer of a stack: about 1 MB, half of a common second-level cache
LEAST_ROWS = 4  # however wide: whether a stack of so few is faster is for the probe to say
STACK_NUMBERS = {"cpu": 2**27, "cuda": 2**30}  # of all layers, with gradients and moments: 0.5 and 4 GB
PIECES = 12  # into how many parts the work is cut for an executor, at least: enough to keep a few workers evenly busy


def cut(runs: Sequence[AnyRun], source: Source | None, stack: str, *, is_shared: bool) -> list[tuple[int, ...]]:
    """Return the places of the runs in chunks, the longest first: runs that can train as one stack, or one run.

    Work that is shared among workers is cut finer.
    """
    groups: dict[Hashable, list[int]] = {}
    for place, (spec, asked) in enumerate(runs):
        shape = None if stack == "never" else shape_of(spec, asked)
        groups.setdefault(place if shape is None else shape, []).append(place)
    most = sum(cost(*run) for run in runs) / PIECES if is_shared else float("inf")
    chunks = list[tuple[int, ...]]()
    for places in groups.values():
        alike = [(spec, asked) for spec, asked in (runs[place] for place in places) if isinstance(spec, Mlp)]
        is_stack = len(alike) > 1 and source is not None and fits(source, *alike[0])
        parts = _stacks(alike, most) if is_stack else [(index,) for index in range(len(places))]
        chunks += [tuple(places[index] for index in part) for part in parts]
    return sorted(chunks, key=lambda chunk: -sum(cost(*runs[place]) for place in chunk))


def shape_of(spec: Spec | nn.Module, asked: Asked) -> Hashable:
    """Return what runs must have in common to train as one stack; None for a run that trains alone."""
    if not isinstance(spec, Mlp) or torch.empty(0).device.type not in STACK_NUMBERS or not _is_plain(asked):
        return None
    if asked.optimizer == "sgd" and spec.init in WIDTH_AWARE:  # for `train` to refuse
        return None
    return replace(spec, **MAY_DIFFER_IN_SPEC), asked.steps, asked.batch_size


def cost(spec: Spec | nn.Module, asked: Asked) -> float:
    """Return about how long a run takes beside others: layers × steps, wide ones counting more."""
    if not isinstance(spec, Mlp):
        return 50.0 * asked.steps
    return (spec.depth + 2) * asked.steps * (1 + asked.batch_size * spec.width**2 / LAYER_NUMBERS)


def _is_plain(asked: Asked) -> bool:
    """Return whether a stack knows everything that is asked."""
    others = (field for field in fields(asked) if field.name not in (*MAY_DIFFER_IN_ASKED, *EQUAL_IN_ASKED))
    return (
        all(getattr(asked, field.name) == field.default for field in others)
        and asked.schedule in SCHEDULES
        and (asked.optimizer == "sgd" or (asked.optimizer in ADAM_KERNELS and asked.momentum == 0))
    )


def _stacks(runs: Sequence[Run], most: float) -> list[tuple[int, ...]]:
    """Cut runs of one shape into stacks of like depths that fit the cache and are not worth more than `most`."""
    chunks, begun, worth = list[tuple[int, ...]](), list[int](), 0.0
    for index in deepest_first(runs):
        own = cost(*runs[index])
        if begun and (len(begun) == rows_at_once(*runs[begun[0]]) or worth + own > most):
            chunks.append(tuple(begun))
            begun, worth = [], 0.0
        begun.append(index)
        worth += own
    return [*chunks, tuple(begun)]


def rows_at_once(spec: Mlp, asked: Asked) -> int:
    """Return how many networks of this width and at most this depth a stack should hold."""
    device = torch.empty(0).device.type
    signals, weights = asked.batch_size * spec.width, spec.width**2
    in_memory = STACK_NUMBERS[device] // (spec.depth * spec.branch_layers * (4 * weights + 3 * signals))
    in_cache = max(LEAST_ROWS, LAYER_NUMBERS // (weights + signals)) if device == "cpu" else in_memory
    return max(1, min(in_memory, in_cache))
