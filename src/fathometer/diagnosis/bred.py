"""A batch of one size, made from two samples: what learns it, learns."""

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch import Tensor

from fathometer.contract import map_tensors, tensors_in
from fathometer.diagnosis.case import Case

SAMPLES = 64
LARGE = 2**14  # numbers in one sample; of such the batch is taken as it is, for 64 would cost more than the look
Change = Callable[[Tensor], Tensor]


def bred(case: Case, classes: int | None = None) -> Case:
    """Return the case with another batch: 64 samples bred from the first two, whatever the size of its own.

    Each number of a new sample is that of one of the two, at random (uniform crossover, Syswerda 1989): so it lies where
    the user's numbers lie, tokens stay tokens, and the samples are about as alike as the two. Where a target is one of
    `classes` it is drawn at random: a network that learns such a batch by heart can tell samples apart and move its
    weights, and one that can do neither does not learn it (Zhang et al. 2017 fit random labels likewise). Where each
    sample holds many targets, as in a language model, the two samples are taken as they are. A batch of one sample, or of
    large ones, stays.
    """
    size = case.num_samples
    if size < 2 or _largest(case.inputs) > LARGE * size:
        return case
    two: Any = _of_batch(case.batch, size, lambda tensor: tensor[:2])
    if _has_many_targets(case):
        return replace(case, inputs=two[0], targets=two[1])
    inputs, targets = _of_batch(two, 2, lambda tensor: _crossed(tensor, case.seed))
    if classes and isinstance(targets, Tensor) and not targets.is_floating_point():
        targets = torch.randint(classes, targets.shape, generator=_generator(case.seed), device="cpu").to(targets)
    return replace(case, inputs=inputs, targets=targets)


def _has_many_targets(case: Case) -> bool:
    """Return whether each sample has a class to name at many places."""
    return any(not tensor.is_floating_point() and tensor.ndim > 1 for _, tensor in tensors_in(case.known_targets))


def _largest(inputs: Any) -> int:
    return max((prod(tensor.shape) for _, tensor in tensors_in(inputs)), default=0)


def _of_batch(batch: Any, size: int, change: Change) -> Any:
    return map_tensors(batch, lambda tensor: change(tensor) if tensor.ndim and tensor.shape[0] == size else tensor)


def _crossed(two: Tensor, seed: int) -> Tensor:
    """Return 64 children of two tensors; those of one shape are crossed alike, so what was equal stays equal."""
    mask = torch.rand((SAMPLES, *two.shape[1:]), generator=_generator(seed), device="cpu") < 0.5
    return torch.where(mask.to(two.device), two[0], two[1])


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
