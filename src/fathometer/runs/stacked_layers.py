"""Layers that do for a stack of runs what torch's do for one."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.networks import PlainBlock, ResidualBlock
from fathometer.networks.layers import EPSILON

MOMENTUM = 0.1  # torch's default for BatchNorm
Signal = Float[Tensor, "run batch units"]


def stack(modules: Sequence[nn.Module]) -> nn.Module:
    """Return one module that does for each run what its own module does; they differ in their numbers alone.

    Signals are `(run, batch, units)`, and every parameter and buffer has the run as its first axis.
    """
    first = modules[0]
    if type(first) in STACKED:
        return STACKED[type(first)](modules)
    twin = deepcopy(first)
    for name, _ in first.named_children():
        setattr(twin, name, stack([module.get_submodule(name) for module in modules]))
    if isinstance(first, PlainBlock) and isinstance(first.activation, nn.ReLU):
        twin.activation = nn.ReLU(inplace=True)  # where its input is no one else's: fresh memory costs more than the function
    if isinstance(first, ResidualBlock):
        for name in ("stream_multiplier", "branch_scale"):
            set_factors(twin, name, [getattr(module, name) for module in modules])
    return twin


def set_factors(module: nn.Module, name: str, factors: Sequence[float | Tensor]) -> None:
    """Give a module what multiplies the signals of the runs: a number where it is the same for all, else one for each."""
    delattr(module, name)
    if isinstance(factors[0], nn.Parameter):
        each = [factor.detach().reshape(1, -1) for factor in factors if isinstance(factor, Tensor)]
        module.register_parameter(name, nn.Parameter(torch.stack(each)))
    elif all(factor == factors[0] for factor in factors):
        setattr(module, name, factors[0])
    else:
        module.register_buffer(name, torch.tensor(factors)[:, None, None])


class StackedLinear(nn.Module):
    """y = x Wᵀ + b for each run, in one batched product: weights `(run, out, in)`, biases `(run, out)`."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight, self.bias = _parameter(layers, "weight"), _parameter(layers, "bias")

    def forward(self, signal: Float[Tensor, "run batch inputs"]) -> Float[Tensor, "run batch outputs"]:
        return _Products.apply(signal, self.weight, self.bias)


class _Products(torch.autograd.Function):
    """The products of `StackedLinear`, whose gradients are written where the last ones were.

    The gradient of a weight replaces what `grad` holds, without a fresh tensor for each step: a tenth of a step's time at
    width 64 and above. Sound because a layer is used once in a forward pass.
    """

    @staticmethod
    def forward(ctx: Any, signal: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(signal)
        ctx.parameters = weight, bias
        return torch.baddbmm(bias.unsqueeze(1), signal, weight.mT)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, None, None]:
        (signal,), (weight, bias) = ctx.saved_tensors, ctx.parameters
        gradient = grad_outputs[0].contiguous()  # after a batch norm it is not, and sums in another order
        torch.bmm(gradient.mT, signal, out=weight.grad)
        torch.sum(gradient, 1, out=bias.grad)
        return (torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None), None, None


class StackedNorm(nn.Module):
    """LayerNorm or RMSNorm of each run: gains and biases `(run, 1, units)`."""

    def __init__(self, norms: Sequence[nn.LayerNorm] | Sequence[nn.RMSNorm]) -> None:
        super().__init__()
        self.plain = deepcopy(norms[0])
        self.plain.register_parameter("weight", None)
        self.weight = _parameter(norms, "weight", (1, -1))
        self.bias = None
        if isinstance(norms[0], nn.LayerNorm):
            self.plain.register_parameter("bias", None)
            self.bias = _parameter(norms, "bias", (1, -1))

    def forward(self, signal: Signal) -> Signal:
        normed = self.plain(signal)
        return self.weight * normed if self.bias is None else torch.addcmul(self.bias, self.weight, normed)


class StackedBatchNorm(nn.Module):
    """BatchNorm of each run over its own samples: to torch the units of all runs are the channels of one norm."""

    def __init__(self, norms: Sequence[nn.BatchNorm1d]) -> None:
        super().__init__()
        self.weight, self.bias = _parameter(norms, "weight"), _parameter(norms, "bias")
        for name in ("running_mean", "running_var"):
            self.register_buffer(name, torch.stack([norm.get_buffer(name) for norm in norms]))

    def forward(self, signal: Signal) -> Signal:
        runs, batch, units = signal.shape
        rows = signal.transpose(0, 1).reshape(batch, runs * units)
        mean, variance = (self.get_buffer(name).view(-1) for name in ("running_mean", "running_var"))
        gain, bias = self.weight.view(-1), self.bias.view(-1)
        normed = F.batch_norm(rows, mean, variance, gain, bias, self.training, MOMENTUM, EPSILON)
        return normed.view(batch, runs, units).transpose(0, 1).contiguous()


STACKED: dict[type[nn.Module], Callable[..., nn.Module]] = {
    nn.Linear: StackedLinear,
    nn.LayerNorm: StackedNorm,
    nn.RMSNorm: StackedNorm,
    nn.BatchNorm1d: StackedBatchNorm,
}


def _parameter(modules: Sequence[nn.Module], name: str, shape: tuple[int, ...] | None = None) -> nn.Parameter:
    """Return the same parameter of all runs as one, with the run as its first axis."""
    each = [module.get_parameter(name).detach() for module in modules]
    return nn.Parameter(torch.stack([value if shape is None else value.reshape(shape) for value in each]))
