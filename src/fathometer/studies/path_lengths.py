"""How many blocks the gradient of a residual network has gone through."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fathometer.networks import MlpNetwork, ResidualBlock


@dataclass(frozen=True)
class PathLengths:
    """The gradient at the stream's begin, split by how many branches its paths went through: `size[k]` for k of them.

    `size` is the root mean square over samples of the norm of the sum over all paths of length k; `paths` their number.
    """

    size: tuple[float, ...]
    paths: tuple[int, ...]

    @property
    def mean_length(self) -> float:
        """Return the mean length, each weighed with its share of the summed squares."""
        weights = [value**2 for value in self.size]
        return sum(length * weight for length, weight in enumerate(weights)) / max(sum(weights), 1e-300)

    @property
    def effective(self) -> int:
        """Return the length up to which the paths carry 95% of the summed squares."""
        total, seen = sum(value**2 for value in self.size), 0.0
        for length, value in enumerate(self.size):
            seen += value**2
            if seen >= 0.95 * total:
                return length
        return len(self.size) - 1


def path_lengths(model: MlpNetwork, inputs: Float[Tensor, "batch inputs"], targets: Tensor) -> PathLengths:
    """Return the gradient of the loss at the begin of the stream, split by the lengths of its paths, exactly.

    The gradient after block l is Π (1 + t B_i), B_i the branches' Jacobians: its coefficient of t^k belongs to paths through
    k branches. They are carried back side by side, g_k ← g_k + B^T g_{k−1}. Each block must be x + f(x). After Veit, Wilber &
    Belongie 2016, who sampled paths.
    """
    streams, blocks = _forward(model, inputs)
    last = streams[-1].detach().requires_grad_()
    outputs = model.output_multiplier * model.readout(model.final_norm(last))
    loss = torch.nn.functional.cross_entropy(outputs, targets)
    parts = [torch.autograd.grad(loss, last)[0]]
    for block, stream in zip(reversed(blocks), reversed(streams[:-1]), strict=True):
        through = [_branch_back(block, stream, part) for part in parts]
        zero = torch.zeros_like(parts[0])
        parts = [kept + added for kept, added in zip([*parts, zero], [zero, *through], strict=True)]
    size = tuple(float(part.square().sum(1).mean().sqrt()) for part in parts)
    return PathLengths(size, tuple(_binomials(len(blocks))))


def _forward(model: MlpNetwork, inputs: Tensor) -> tuple[list[Tensor], list[ResidualBlock]]:
    assert model.stem is not None, "a network without a stream has one path"
    blocks = [block for block in model.blocks if isinstance(block, ResidualBlock)]
    with torch.no_grad():
        streams = [model.stem(inputs.flatten(1))]
        for block in blocks:
            streams.append(block(streams[-1]))
    return streams, blocks


def _branch_back(block: ResidualBlock, stream: Tensor, gradient: Tensor) -> Tensor:
    """Return the gradient that comes back through the branch alone: what is added to the stream, differentiated."""
    here = stream.detach().requires_grad_()
    added = block(here) - here
    return torch.autograd.grad(added, here, gradient)[0]


def _binomials(blocks: int) -> list[int]:
    from math import comb

    return [comb(blocks, length) for length in range(blocks + 1)]
