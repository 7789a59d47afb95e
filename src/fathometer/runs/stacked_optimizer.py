"""One optimizer for each run of a stack: torch's kernels on slices."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from fathometer.parametrizations import Scale
from fathometer.records import Asked
from fathometer.runs.stacked_layers import StackedLinear
from fathometer.runs.stacked_network import StackedNetwork, take
from fathometer.training import rate_multiplier
from fathometer.training.optimizers import ADAM_EPSILON

ADAM_KERNELS = {"adam": torch._fused_adam_, "adamw": torch._fused_adamw_}
BETAS = (0.9, 0.999)  # torch's defaults
CLIP_EPSILON = 1e-6  # that of torch's clip_grad_norm_
VECTOR = 16  # the most numbers that a processor's kernel takes at once
_PLAIN = Scale(0.0)
Key = TypeVar("Key")


@dataclass(frozen=True)
class Move:
    """What decides how a row moves: the recipe, and the multipliers of rate, weight decay and ε that its parameter has."""

    recipe: Asked
    rate: float
    decay: float
    epsilon: float


@dataclass
class Slices:
    """Neighbouring rows of many parameters that move alike; `first` and `second` are their moments (SGD: the momentum)."""

    values: list[Tensor] = field(default_factory=list)
    gradients: list[Tensor] = field(default_factory=list)
    first: list[Tensor] = field(default_factory=list)
    second: list[Tensor] = field(default_factory=list)


class StackedOptimizer:
    """Adam, AdamW or SGD for each run of a network, at its own rate, clipped by its own norm.

    A parameter's rows are cut where the move changes, and the slices go to the kernels of torch's own fused optimizers: a
    run moves as it would alone. The kernels are called directly because torch's classes take 3 µs for each slice and the
    kernels half of one, and a sweep of many rates has many slices.
    """

    def __init__(self, network: StackedNetwork, asked: Sequence[Asked], scales: Sequence[Mapping[str, Scale]]) -> None:
        self.network, self.asked, self.scales, self.steps_done = network, list(asked), list(scales), 0
        self.moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in network.named_parameters()}
        self._arrange()

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with the runs in these rows alone, after the network has dropped the others."""
        self.asked, self.scales = [self.asked[row] for row in rows], [self.scales[row] for row in rows]
        before = self.moments
        self.moments = {
            name: (take(before[name][0], rows), take(before[name][1], rows)) for name, _ in self.network.named_parameters()
        }
        self._arrange()

    def zero_grad(self) -> None:
        """Set to zero the gradients that add up; those of linear layers are replaced by the next ones."""
        if self.added_up:
            torch._foreach_zero_(self.added_up)

    def clip(self) -> list[float]:
        """Scale the gradients of the runs that are clipped; return the norms they had, and 0 for the others."""
        norms = [0.0] * len(self.asked)
        for rows in self.clipped:
            gradients = [p.grad[rows] for p in self.network.parameters() if p.grad is not None and len(p) >= rows.stop]
            limits = torch.tensor([asked.clip for asked in self.asked[rows]], device=self.device)
            norms[rows] = clip_by_run(gradients, limits).tolist()
        return norms

    @torch.no_grad()
    def step(self) -> None:
        """Move every run one step along its gradients."""
        count = torch.tensor(float(self.steps_done + 1), device=self.device)
        for move, slices in self.slices.items():
            _apply(move, slices, count, move.rate * rate_multiplier(self.steps_done, move.recipe))
        self.steps_done += 1

    def _arrange(self) -> None:
        """Make room for gradients, and cut parameters, gradients and moments into slices that move alike."""
        self.slices: dict[Move, Slices] = {}
        for name, parameter in self.network.named_parameters():
            parameter.grad = torch.zeros_like(parameter)
            whole = (parameter.detach(), parameter.grad, *self.moments[name])
            moves = [_move(asked, scales.get(name, _PLAIN)) for asked, scales in zip(self.asked, self.scales, strict=True)]
            # A row that does not fill whole vectors stays alone: a kernel rounds what is left over at the end of a tensor in
            # another way, and a run should round as it would alone. A deep network makes much of a last bit in a few dozen steps.
            is_whole = parameter[0].numel() % VECTOR == 0
            for (move, _), rows in _alike([(move, 0 if is_whole else row) for row, move in enumerate(moves[: len(parameter)])]):
                slices = self.slices.setdefault(move, Slices())
                for part, tensor in zip(vars(slices).values(), whole, strict=True):
                    part.append(tensor[rows])
        layers = [module for module in self.network.modules() if not isinstance(module, StackedLinear)]
        self.added_up = [p.grad for layer in layers for p in layer.parameters(recurse=False) if p.grad is not None]
        self.device = parameter.device
        depths = [(spec.depth, asked.clip is None) for spec, asked in zip(self.network.specs, self.asked, strict=True)]
        self.clipped = [rows for (_, is_free), rows in _alike(depths) if not is_free]


@torch.no_grad()
def clip_by_run(gradients: Sequence[Tensor], limits: Float[Tensor, " run"]) -> Float[Tensor, " run"]:
    """Scale the gradients of each run so that their norm over all parameters is at most its limit, and return the norms.

    As torch does for one run: the norm of the norms of all its parameters, to the last bit.
    """
    each = [torch.linalg.vector_norm(gradient.flatten(1), dim=1) for gradient in gradients]
    norms = torch.linalg.vector_norm(torch.stack(each, dim=1), dim=1)
    factors = (limits / (norms + CLIP_EPSILON)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factors.view(-1, *[1] * (gradient.ndim - 1)))
    return norms


def _move(asked: Asked, scale: Scale) -> Move:
    epsilon = ADAM_EPSILON * scale.epsilon_multiplier
    rate, decay = asked.learning_rate * scale.learning_rate_multiplier, asked.weight_decay * scale.weight_decay_multiplier
    return Move(replace(asked, seed=0, clip=None), rate, decay, epsilon)


def _alike(keys: Sequence[Key]) -> Iterator[tuple[Key, slice]]:
    """Yield each key with the neighbouring rows that have it."""
    start = 0
    for key, rows in groupby(keys):
        stop = start + len(list(rows))
        yield key, slice(start, stop)
        start = stop


def _apply(move: Move, slices: Slices, count: Tensor, rate: float) -> None:
    values, gradients, decay = slices.values, slices.gradients, move.decay
    if move.recipe.optimizer == "sgd":
        momentum = move.recipe.momentum
        buffers = slices.first if momentum else []
        options = {"dampening": 0.0, "nesterov": False, "maximize": False, "is_first_step": False}
        torch._fused_sgd_(values, gradients, buffers, weight_decay=decay, momentum=momentum, lr=rate, **options)
        return
    counts, (beta1, beta2) = [count] * len(values), BETAS
    options = {"beta1": beta1, "beta2": beta2, "weight_decay": decay, "eps": move.epsilon, "amsgrad": False, "maximize": False}
    kernel = ADAM_KERNELS[move.recipe.optimizer]
    kernel(values, gradients, slices.first, slices.second, [], counts, lr=rate, **options)
