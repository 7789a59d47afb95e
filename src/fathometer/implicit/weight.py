"""A weight that has a shape and a spread, and no numbers."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.errors import ModelError
from fathometer.implicit.matrix import Matrix, Session


class ImplicitWeight(Tensor):
    """A parameter on the meta device, whose products with vectors are drawn: what `F.linear(x, weight)` would have been.

    It takes the place of the weight of any layer that multiplies with it (`F.linear`, `@`, `addmm`), looks up rows of it
    (`F.embedding`), or holds a stack of matrices `(expert, out, in)` and takes one. Whatever else is done with it raises a
    `ModelError` that names it. Its gradient is never made; `matrix.tally` has its norm.
    """

    matrix: Matrix
    is_turned: bool
    experts: dict[int, "ImplicitWeight"]

    @staticmethod
    def of(matrix: Matrix, shape: tuple[int, ...], dtype: torch.dtype, *, is_turned: bool = False) -> "ImplicitWeight":
        """Return the weight of a matrix, or of a stack of such matrices, as its layer sees it."""
        weight = torch.empty(shape, dtype=dtype, device="meta").as_subclass(ImplicitWeight)
        weight.matrix, weight.is_turned, weight.experts = matrix, is_turned, {}
        return weight

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Answer products and look-ups, hand on what asks for shapes, and refuse the rest by name."""
        kwargs = kwargs or {}
        if func in PRODUCTS:
            return PRODUCTS[func](*args, **kwargs)
        name = getattr(func, "__name__", str(func))
        if func in _SAME or name in _SAME_NAMES:
            return args[0]
        if name in _HARMLESS:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        mine = next((value for value in (*args, *kwargs.values()) if isinstance(value, ImplicitWeight)), None)
        raise refusal("a weight" if mine is None else f"`{mine.matrix.name}`", f"it is used in `{name}`")

    def __getitem__(self, index: Any) -> "ImplicitWeight":
        """Return one matrix of a stack."""
        if self.ndim != 3 or not isinstance(index, int | Tensor) or isinstance(index, ImplicitWeight):
            raise refusal(f"`{self.matrix.name}`", "a part of it is taken")
        place = int(index)
        if place not in self.experts:
            stack = self.matrix
            one = Matrix(
                f"{stack.name}[{place}]", stack.rows, stack.columns, stack.std, stack.session, stack.number + place, stack.kind
            )
            one.remembers = stack.remembers
            self.experts[place] = ImplicitWeight.of(one, tuple(self.shape[1:]), self.dtype)
        return self.experts[place]

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # pyrefly: ignore[bad-override]
        """Return its shape and spread."""
        return f"ImplicitWeight({tuple(self.shape)}, std={self.matrix.std:.3g})"

    @property
    def matrices(self) -> list[Matrix]:
        """Return the matrix, or those of the experts that were asked."""
        return [self.matrix] if self.ndim == 2 else [one.matrix for one in self.experts.values()]


def implicit_parameter(
    name: str, shape: tuple[int, ...], std: float, session: Session, dtype: torch.dtype = torch.float32, kind: str = "normal"
) -> nn.Parameter:
    """Return a parameter of this shape, `(out, in)` or `(expert, …, …)`, with independent entries of mean 0 and this std.

    `kind` "uniform" differs from "normal" only where weights are streamed.
    """
    count = 1 if len(shape) == 2 else shape[0]
    assert len(shape) in (2, 3)
    matrix = Matrix(name, shape[-2], shape[-1], std, session, session.next_numbers(count), kind)
    return nn.Parameter(ImplicitWeight.of(matrix, shape, dtype))


def refusal(which: str, what: str) -> ModelError:
    """Return the error for a use of a weight that cannot be sampled."""
    return ModelError(
        f"{which} is too large to be made, and {what}",
        "Only products with it, and look-ups of its rows, can be drawn without making it",
        "Leave --full-size out for a narrow twin of the network, or name the layers that should be real by a larger `smallest`",
    )


class _Product(torch.autograd.Function):
    """x Wᵀ forward and g W backward, both drawn; the weight is an argument so that autograd knows of it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, matrix: Matrix, side: int) -> Tensor:
        call = matrix.next_call()
        y = matrix.forward(x, call, side)
        ctx.save_for_backward(x, y)
        ctx.matrix, ctx.call, ctx.side = matrix, call, side
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        x, y = ctx.saved_tensors
        return ctx.matrix.backward(gradients[0], x, y, ctx.call, ctx.side), None, None, None


class _LookUp(torch.autograd.Function):
    """Rows of W forward; backward only counts."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, matrix: Matrix, tokens: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.matrix, ctx.tokens = matrix, tokens
        return matrix.look_up(tokens, torch.empty(0, dtype=dtype, device=tokens.device))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, None, None]:
        gradient = gradients[0]
        ctx.matrix.tally.add_rows(gradient.reshape(-1, gradient.shape[-1]), ctx.tokens.reshape(-1))
        return None, None, None, None


def multiply(x: Tensor, weight: ImplicitWeight, *, side: int, bias: Tensor | None = None) -> Tensor:
    """Return x Wᵀ (side 1) or x W (side 0) of x `(…, width)`, plus a bias."""
    if weight.ndim != 2 or not isinstance(x, Tensor) or isinstance(x, ImplicitWeight):
        raise refusal(f"`{weight.matrix.name}`", "it is multiplied with more than vectors")
    side = 1 - side if weight.is_turned else side
    flat = x.reshape(-1, x.shape[-1])
    y = _Product.apply(flat, weight, weight.matrix, side)
    y = y.reshape(*x.shape[:-1], y.shape[-1])
    return y if bias is None else y + bias


def _linear(input: Tensor, weight: ImplicitWeight, bias: Tensor | None = None) -> Tensor:
    return multiply(input, weight, side=1, bias=bias)


def _matmul(x: Tensor, weight: ImplicitWeight) -> Tensor:
    return multiply(x, weight, side=0)


def _addmm(bias: Tensor, x: Tensor, weight: ImplicitWeight) -> Tensor:
    return multiply(x, weight, side=0, bias=bias)


def _embedding(input: Tensor, weight: ImplicitWeight, padding_idx: int | None = None, *rest: Any, **more: Any) -> Tensor:
    rows = _LookUp.apply(weight, weight.matrix, input, weight.dtype)
    if padding_idx is None:
        return rows
    return rows.masked_fill((input == padding_idx % weight.shape[0])[..., None], 0.0)


def _turned(weight: ImplicitWeight, *axes: Any) -> ImplicitWeight:
    if weight.ndim != 2:
        raise refusal(f"`{weight.matrix.name}`", "it is turned as a whole")
    return ImplicitWeight.of(weight.matrix, (weight.shape[1], weight.shape[0]), weight.dtype, is_turned=not weight.is_turned)


PRODUCTS: dict[Any, Callable[..., Any]] = {
    F.linear: _linear,
    torch.matmul: _matmul,
    torch.mm: _matmul,
    Tensor.matmul: _matmul,
    Tensor.mm: _matmul,
    Tensor.__matmul__: _matmul,
    torch.addmm: _addmm,
    F.embedding: _embedding,
    Tensor.t: _turned,
    torch.t: _turned,
    Tensor.transpose: _turned,
    torch.transpose: _turned,
    Tensor.T.__get__: _turned,  # pyrefly: ignore[missing-attribute]
    Tensor.mT.__get__: _turned,  # pyrefly: ignore[missing-attribute]
    Tensor.__getitem__: ImplicitWeight.__getitem__,
}
_SAME = {Tensor.to, Tensor.detach, Tensor.contiguous, Tensor.data.__get__, Tensor.cpu, Tensor.float}  # pyrefly: ignore[missing-attribute]
_SAME_NAMES = {"cuda"}
_HARMLESS = {
    *("__get__", "__set__", "size", "dim", "numel", "nelement", "element_size", "stride", "is_contiguous", "storage_offset"),
    *("is_floating_point", "is_complex", "requires_grad_", "register_hook", "grad", "__hash__", "untyped_storage", "_is_view"),
}
