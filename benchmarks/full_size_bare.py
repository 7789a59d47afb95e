"""The bare arithmetic of GPT-3 175B at its start, without a model, a tap or a verdict: how fast this machine is."""

import json
from time import process_time
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.peak_memory import peak_bytes

SAMPLES, TIME, WIDTH, HEADS, DEPTH, STD = 4, 4, 12288, 96, 96, 0.02


def _draw(x: Tensor, width: int, std: float, seed: int) -> Tensor:
    values, directions = torch.linalg.eigh(x.double() @ x.double().T)
    lower = (std * directions * values.clamp(min=0).sqrt()).float()
    return lower @ torch.empty(len(x), width).normal_(generator=torch.Generator().manual_seed(seed))


class _Product(torch.autograd.Function):
    """x Wᵀ and g W as `fathometer.implicit.gaussian` derives them, written as plainly as can be."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, width: int, std: float, seed: int) -> Tensor:
        y = _draw(x, width, std, seed)
        ctx.save_for_backward(x, y)
        ctx.std, ctx.seed = std, seed
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (x, y), g = ctx.saved_tensors, gradients[0]
        fresh = _draw(g, x.shape[1], ctx.std, ctx.seed + 1)
        lacks = (g @ y.T - fresh @ x.T).double()
        inverse = torch.linalg.pinv(x.double() @ x.double().T, rtol=1e-12, hermitian=True)
        return fresh.addmm_((lacks @ inverse).float(), x), None, None, None


def _block(x: Tensor, number: int) -> Tensor:
    def product(inputs: Tensor, width: int, which: int, std: float = STD) -> Tensor:
        return _Product.apply(inputs, width, std, 100 * number + 2 * which)

    normed = F.layer_norm(x, (WIDTH,))
    heads = [product(normed, WIDTH, which).view(SAMPLES, TIME, HEADS, -1).transpose(1, 2) for which in range(3)]
    mixed = F.scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2).reshape(len(x), WIDTH)
    branch = STD / (2 * DEPTH) ** 0.5
    x = x + product(mixed, WIDTH, 3, branch)
    inside = F.gelu(product(F.layer_norm(x, (WIDTH,)), 4 * WIDTH, 4), approximate="tanh")
    return x + product(inside, WIDTH, 5, branch)


def bare() -> None:
    """Go forward and backward, each block a second time on the way back; print this process's time and its most memory."""
    torch.set_num_threads(1)
    x = STD * torch.randn(SAMPLES * TIME, WIDTH, generator=torch.Generator().manual_seed(0))
    entered = []
    with torch.no_grad():
        for number in range(DEPTH):
            entered.append(x)
            x = _block(x, number)
    gradient = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    for number in reversed(range(DEPTH)):
        inputs = entered.pop().requires_grad_()
        (gradient,) = torch.autograd.grad(_block(inputs, number), inputs, gradient)
    assert bool(torch.isfinite(gradient).all())
    print(json.dumps({"seconds": process_time(), "megabytes": peak_bytes() / 1e6}))
