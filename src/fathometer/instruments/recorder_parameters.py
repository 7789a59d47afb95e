"""Weights, gradients and updates, sampled around an optimizer's step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fathometer.instruments.recorder_ranks import Ranks
from fathometer.instruments.recorder_sample import WHOLE, flat_sample, flat_samples
from fathometer.instruments.recorder_statistics import flat_moments

KINDS = ("weight", "gradient", "update")
ALIKE = 0.75  # tensors of which at least so much of what is asked for is taken are cut to the shortest of them


@dataclass
class _Group:
    """Tensors of which equally many numbers are taken, on one device; one row for each: before the step, and after it."""

    names: list[str]
    parameters: list[nn.Parameter]
    length: int
    runs: list[slice]  # those of one kind, which lie one after the other
    share: Tensor  # of each tensor that is taken
    weights: Tensor | None = None
    gradients: Tensor | None = None
    moved: Tensor | None = None
    views: list[Tensor] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    @property
    def is_plain(self) -> bool:
        """Return whether all lie in one piece on this process, so that a view of them stays good."""
        return all(type(parameter) is nn.Parameter and parameter.is_contiguous() for parameter in self.parameters)


@dataclass(frozen=True, eq=False)
class TensorTable:
    """Weight tensors at one step: how many numbers each has, and columns of what was measured of them, one row for each.

    The columns are root mean squares ("weight", "gradient", "update") and the relative errors of their squares
    ("weight_error", "gradient_error"); in these arrays -1 is "not known".
    """

    numels: Mapping[str, int]
    columns: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def row(self, name: str) -> dict[str, float | None]:
        """Return what is known of one tensor."""
        place = list(self.numels).index(name)
        return {key: _known(float(column[place])) for key, column in self.columns.items()}


class ParameterSamples:
    """The weight matrices of a model, some numbers of each; `before` and `after` are called around an optimizer's step.

    Of tensors that are spread over processes (DTensor) each process takes some of its own part.
    """

    def __init__(self, model: nn.Module, numbers: int, ranks: Ranks) -> None:
        self.numbers, self.ranks = numbers, ranks
        named = {name: one for name, one in model.named_parameters() if one.ndim > 1 and one.requires_grad}
        self.numels = {name: parameter.numel() for name, parameter in named.items()}
        self.groups = [_group_of({name: named[name] for name in names}, numbers) for names in _alike(named, numbers)]
        self.names = [name for group in self.groups for name in group.names]
        self.device = next((one.device for one in named.values()), torch.device("cpu"))

    @torch.no_grad()
    def before(self, owned: Sequence[Tensor] | None = None, scale: Tensor | None = None) -> None:
        """Take weights and gradients as they are before a step; `scale` is what a fused optimizer will divide these by."""
        chosen = None if owned is None else {id(tensor) for tensor in owned}
        for group in self.groups:
            if chosen is None or any(id(parameter) in chosen for parameter in group.parameters):
                group.weights = self._weights(group)
                gradients = self._gradients(group)
                group.gradients = gradients if scale is None else gradients / scale

    @torch.no_grad()
    def after(self) -> None:
        """Take the weights as they are after a step."""
        for group in self.groups:
            if group.weights is not None:
                group.moved = self._weights(group)

    def _gradients(self, group: _Group) -> Tensor:
        """Return some of each gradient, at the places of the weight; 0 where there is none."""
        return torch.cat([self._some(group.parameters[run], group.length) for run in group.runs]).float()

    def _some(self, parameters: Sequence[nn.Parameter], length: int) -> Tensor:
        """Return some of each gradient of some tensors of one kind."""
        gradients = [parameter.grad for parameter in parameters]
        if parameters[0].numel() <= WHOLE and all(type(one) is Tensor and one.is_contiguous() for one in gradients):
            return flat_samples(gradients, self.numbers)[:, :length]  # pyrefly: ignore[bad-argument-type]
        taken = [
            _local(parameter).new_zeros(length) if parameter.grad is None else flat_sample(_local(parameter.grad), self.numbers)
            for parameter in parameters
        ]
        return torch.stack([one[:length] for one in taken])

    def _weights(self, group: _Group) -> Tensor:
        """Return some of each weight; the views are made anew where a weight has another place in memory than before."""
        places = [parameter.data_ptr() for parameter in group.parameters] if group.is_plain else []
        if places != group.places or not places:
            group.views = [flat_sample(_local(parameter), self.numbers)[: group.length] for parameter in group.parameters]
            group.places = places
        return torch.stack(group.views).float()

    def clear(self) -> None:
        """Let go of what was taken."""
        for group in self.groups:
            group.weights, group.gradients, group.moved = None, None, None

    def vectors(self) -> dict[str, Tensor]:
        """Return, on the device, root mean squares and relative errors, one for each tensor in the order of the names.

        What was not taken is -1. With several processes the order is that of the model, and the numbers are those of all.
        """
        found = {key: list[Tensor]() for key in (*KINDS, "weight_error", "gradient_error")}
        for group in self.groups:
            for key, vector in _of(group).items():
                found[key].append(vector.to(self.device))
        local = {key: torch.cat(vectors) for key, vectors in found.items() if vectors}
        return self._of_all(local) if self.ranks.is_shared else local

    def _of_all(self, local: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add up what the processes hold of each tensor; every one of them comes with the same tensors in the same order."""
        every = list(self.numels)
        place = torch.tensor([every.index(name) for name in self.names], dtype=torch.long, device=self.device)
        sizes = {id(p): _local(p).numel() for group in self.groups for p in group.parameters}
        own = torch.tensor([sizes[id(p)] for group in self.groups for p in group.parameters], dtype=torch.float64, device="cpu")
        zeros = torch.zeros(len(every), dtype=torch.float64, device=self.device)
        total = self.ranks.total(zeros.index_add(0, place, own.to(self.device))).clamp(min=1)
        found = {}
        for key in (*KINDS, "weight_error", "gradient_error"):
            vector = local[key].double() if key in local else zeros.new_zeros(len(self.names))
            if not bool((vector >= 0).any()):
                found[key] = torch.full_like(zeros, -1.0)
                continue
            power = 1 if key.endswith("_error") else 2
            parts = zeros.index_add(0, place, vector**power * own.to(self.device))
            found[key] = (self.ranks.total(parts) / total) ** (1 / power)
        return found

    def table(self, numbers: Mapping[str, NDArray[np.float64]]) -> TensorTable:
        """Return what `vectors` held, once it is off the device."""
        names = list(self.numels) if self.ranks.is_shared else self.names
        return TensorTable({name: self.numels[name] for name in names}, numbers)


def _of(group: _Group) -> dict[str, Tensor]:
    """Return root mean squares, and the errors of the squares, one for each tensor of a group; -1 is "not taken"."""
    count = len(group.names)
    if group.weights is None or group.gradients is None:
        unknown = torch.full((count,), -1.0, device=group.parameters[0].device)
        return dict.fromkeys((*KINDS, "weight_error", "gradient_error"), unknown)
    moved = [] if group.moved is None else [group.moved - group.weights]
    share = group.share.to(group.weights.device).repeat(2 + len(moved))
    parts = flat_moments(torch.cat([group.weights, group.gradients, *moved]), share)
    sizes = parts["mean"].sqrt().split(count)
    update = sizes[2] if moved else torch.full_like(sizes[0], -1.0)
    errors = parts["error"].split(count)
    return {
        "weight": sizes[0],
        "gradient": sizes[1],
        "update": update,
        "weight_error": errors[0],
        "gradient_error": errors[1],
    }


def _known(value: float) -> float | None:
    return None if value < 0 else value


def _alike(named: Mapping[str, nn.Parameter], numbers: int) -> list[list[str]]:
    """Return the names of tensors that are counted together: of which about `numbers`, or all of equally many, are taken."""
    groups: dict[tuple[str, int], list[str]] = {}
    for name in sorted(named, key=lambda name: _kind(named[name])):  # those of one kind one after the other
        size = len(flat_sample(_local(named[name]), numbers))
        if size:
            is_many = ALIKE * numbers <= size < _local(named[name]).numel()
            groups.setdefault((str(named[name].device), numbers if is_many else size), []).append(name)
    return list(groups.values())


def _group_of(named: Mapping[str, nn.Parameter], numbers: int) -> _Group:
    parameters = list(named.values())
    length = min(len(flat_sample(_local(parameter), numbers)) for parameter in parameters)
    sizes = [len(list(run)) for _, run in groupby(parameters, key=_kind)]
    runs = [slice(end - size, end) for end, size in zip(accumulate(sizes), sizes, strict=True)]
    shares = [length / _local(parameter).numel() for parameter in parameters]
    return _Group(list(named), parameters, length, runs, torch.tensor(shares, device=parameters[0].device))


def _kind(tensor: Tensor) -> tuple[int, ...]:
    """Return the shape of a tensor if it is small, which are taken together."""
    return tuple(tensor.shape) if tensor.numel() <= WHOLE else ()


def _local(tensor: Tensor) -> Tensor:
    """Return this process's part of a tensor that is spread over several, any other whole."""
    tensor = tensor.detach()
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
