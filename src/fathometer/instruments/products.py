"""Matrix products and convolutions as they run, counted by their sizes."""

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

OnProduct = Callable[[int, tuple[Any, ...]], None]
Formula = Callable[[tuple[Any, ...], Any], int]
aten = torch.ops.aten


def _matrix(inner: int) -> Formula:
    # Every number of the result is a sum over the last axis of one argument.
    return lambda args, out: 2 * out.numel() * args[inner].shape[-1]


def _convolution(args: tuple[Any, ...], out: Tensor) -> int:
    return _kernel_flops(places=args[0] if args[6] else out, weight=args[1])


def _convolution_backward(args: tuple[Any, ...], out: Any) -> int:
    gradient, image, weight, is_transposed, wanted = args[0], args[1], args[2], args[7], args[10]
    return (wanted[0] + wanted[1]) * _kernel_flops(places=image if is_transposed else gradient, weight=weight)


def _kernel_flops(places: Tensor, weight: Tensor) -> int:
    # `weight` is (channels, channels on the other side in one group, *kernel), `places` (batch, channels, *place).
    return 2 * places.numel() * prod(weight.shape[1:])


def _trilinear(args: tuple[Any, ...], out: Any) -> int:
    factors = list(args[:3])
    for index, new_axes in enumerate(args[3:6]):
        for axis in new_axes:
            factors[index] = factors[index].unsqueeze(axis)
    return 2 * prod(torch.broadcast_shapes(*(factor.shape for factor in factors)))


# How many floating-point operations each product takes; a multiplication and an addition are two.
FORMULAS: dict[Any, Formula] = {
    aten.mm: _matrix(0),
    aten.bmm: _matrix(0),
    aten.mv: _matrix(0),
    aten.dot: _matrix(0),
    aten.vdot: _matrix(0),
    aten.linear: _matrix(0),
    aten.addmm: _matrix(1),
    aten.baddbmm: _matrix(1),
    aten.addmv: _matrix(1),
    aten._addmm_activation: _matrix(1),
    aten.addbmm: lambda args, out: 2 * out.numel() * args[1].shape[0] * args[1].shape[-1],
    aten.convolution: _convolution,
    aten.convolution_backward: _convolution_backward,
    aten._trilinear: _trilinear,
}
# Words in the name of an operation that multiplies matrices; one without a formula is told, not passed over.
_SIGNS = {"mm", "mv", "matmul", "conv", "convolution", "attention", "linear", "lstm", "gru", "rnn", "encoder", "bmm", "grouped"}


class ProductCounter(TorchDispatchMode):
    """A `with` block that hears every product, forward and backward, with its floating-point operations and arguments.

    `unknown` collects the names of operations that look like products and have no formula.
    """

    def __init__(self, on_product: OnProduct) -> None:
        super().__init__()
        self.on_product, self.unknown = on_product, set[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation, and tell the listener if it is a product."""
        out = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        if packet in FORMULAS:
            self.on_product(FORMULAS[packet](args, out), args)
        elif _SIGNS & set(packet.__name__.split("_")):
            self.unknown.add(str(packet))
        return out


class FusedAttention(TorchFunctionMode):
    """A `with` block in which `scaled_dot_product_attention` keeps what a fused kernel keeps: no (time, time) numbers.

    On the meta device torch takes it apart into products, a softmax and a mask, and would keep them all.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replace attention by its fused form, where the shapes allow it."""
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            query, key, value, mask = _attention_arguments(*args, **kwargs)
            if _is_fusible(query, key, value, mask):
                return _Attention.apply(query, key, value)
        return func(*args, **kwargs)


def _attention_arguments(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, *_: Any, **__: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    return query, key, value, attn_mask


def _is_fusible(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> bool:
    if mask is not None and mask.requires_grad:  # a learned bias needs its own gradient
        return False
    is_plain = query.ndim == key.ndim == value.ndim and query.ndim > 2
    return is_plain and query.shape[:-3] == key.shape[:-3] and query.shape[-3] % key.shape[-3] == 0


class _Attention(torch.autograd.Function):
    """Two products forward and four backward, of tensors without numbers: `(…, head, time, width)`, grouped heads too."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        mixed = (query @ _for_each_head(key, query).mT) @ _for_each_head(value, query)
        out = torch.empty_like(query) if query.shape == mixed.shape else mixed  # torch's kernels keep the layout of the queries
        log_sums = query.new_empty(query.shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(query, key, value, out, log_sums)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value, _, _ = ctx.saved_tensors
        weights = query.new_empty((*query.shape[:-1], key.shape[-2]))
        of_value, of_weights = weights.mT @ gradients[0], gradients[0] @ _for_each_head(value, query).mT
        of_query, of_key = of_weights @ _for_each_head(key, query), of_weights.mT @ query
        return of_query, of_key.new_empty(key.shape), of_value.new_empty(value.shape)


def _for_each_head(shared: Tensor, query: Tensor) -> Tensor:
    return shared.repeat_interleave(query.shape[-3] // shared.shape[-3], dim=-3)
