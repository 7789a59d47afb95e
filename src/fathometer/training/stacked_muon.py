"""Muon's step for many matrices at once, those of one shape as a stack."""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

MOST_NUMBERS = 2**24  # in a stack: what is computed beside the weights stays below some hundred megabytes


@torch.no_grad()
def move_matrices(group: Mapping[str, Any], state: MutableMapping[Tensor, dict[str, Any]]) -> None:
    """Move the matrices of a group of `torch.optim.Muon` as its own step does, with its numbers and its state.

    Torch takes one matrix after another. A deep network has many small ones of few shapes: here the products of those of one
    shape are batched, which rounds otherwise (the products are in bfloat16, there and here) and changes nothing else.
    """
    for matrices in stacks([matrix for matrix in group["params"] if matrix.grad is not None]):
        _move_stack(matrices, group, state)


def stacks(matrices: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Yield the matrices in lists of one shape, device and dtype that hold at most `MOST_NUMBERS` numbers, or one matrix.

    >>> [len(stack) for stack in stacks([torch.ones(2, 3), torch.ones(3, 2), torch.zeros(2, 3)])]
    [2, 1]
    """
    alike: dict[Any, list[Tensor]] = {}
    for matrix in matrices:
        alike.setdefault((matrix.shape, matrix.device, matrix.dtype), []).append(matrix)
    for members in alike.values():
        size = max(1, MOST_NUMBERS // max(1, members[0].numel()))
        yield from (members[start : start + size] for start in range(0, len(members), size))


def _move_stack(matrices: list[Tensor], group: Mapping[str, Any], state: MutableMapping[Tensor, dict[str, Any]]) -> None:
    momentum, rate = group["momentum"], float(group["lr"])
    gradients = [matrix.grad for matrix in matrices if matrix.grad is not None]
    buffers = [_buffer(state[matrix], matrix) for matrix in matrices]
    torch._foreach_lerp_(buffers, gradients, 1 - momentum)
    moves = torch._foreach_lerp(gradients, buffers, momentum) if group["nesterov"] else buffers
    directions = orthogonal(torch.stack(list(moves)), group["ns_coefficients"], group["ns_steps"], group["eps"])
    torch._foreach_mul_(matrices, 1 - rate * group["weight_decay"])
    step = 0.2 * max(matrices[0].shape) ** 0.5 * rate  # "match_rms_adamw": Liu et al. 2025, "Muon is scalable", section 2.2
    torch._foreach_add_(matrices, list(directions.to(matrices[0].dtype).unbind()), alpha=-step)


def _buffer(state: dict[str, Any], matrix: Tensor) -> Tensor:
    if "momentum_buffer" not in state:
        state["momentum_buffer"] = torch.zeros_like(matrix)
    return state["momentum_buffer"]


def orthogonal(
    matrices: Float[Tensor, "matrix rows columns"], coefficients: tuple[float, float, float], steps: int, epsilon: float
) -> Tensor:
    """Return matrices of the same directions with singular values near 1, in bfloat16: torch's iteration, batched.

    X ← a X + (b X Xᵀ + c (X Xᵀ)²) X from X / |X|, the shorter side first. Jordan et al. 2024, "Muon".
    """
    a, b, c = coefficients
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.bfloat16()
    x = x.mT if is_tall else x
    x = x / torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True).clamp(min=epsilon)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if is_tall else x
