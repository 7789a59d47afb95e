"""Build a module without its large weights, and learn how they start."""

import sys
from math import erf, exp, pi, prod, sqrt
from typing import Any

import torch
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

from fathometer.implicit.making import SMALLEST, Start

_LARGE = 2**26  # entries; from here on also what starts as zeros, ones or noise is not made
_MOST_SHARE = 0.99  # of a normal's std: one that is cut further out is Gaussian in any wide layer


class Unmade(TorchFunctionMode):
    """A `with` block in which a new parameter with two axes or more and many entries gets a shape and no memory.

    Such a tensor lies on the meta device, and what is drawn into it, `normal_`, `uniform_`, `fill_`, a truncated normal, a
    factor, is written down in its place: `start_of` tells it. Everything smaller is made and initialised as usual. Nothing
    of torch's own machinery for the meta device is called, which would take a second to import.
    """

    def __init__(self, smallest: int = SMALLEST) -> None:
        super().__init__()
        self.smallest = smallest
        self._starts: dict[int, tuple[Any, Start | None]] = {}

    def __enter__(self) -> "Unmade":
        """Begin; torch's truncated normal does nothing to a tensor on the meta device, and must be heard by its name."""
        self._truncate = init._no_grad_trunc_normal_
        init._no_grad_trunc_normal_ = self._cut  # pyrefly: ignore[bad-assignment]
        return super().__enter__()

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        """End, and leave torch as it was."""
        init._no_grad_trunc_normal_ = self._truncate
        super().__exit__(exc_type, exc_val, exc_tb)

    def _cut(self, tensor: Tensor, mean: float, std: float, a: float, b: float, *rest: Any, **more: Any) -> Tensor:
        if not tensor.is_meta:
            return self._truncate(tensor, mean, std, a, b, *rest, **more)
        share, middle = _truncated((a - mean) / std, (b - mean) / std)
        kind = "normal" if share > _MOST_SHARE else "truncated normal"
        self._put(tensor, Start(std * share, kind, 0.0 if a - mean == mean - b else mean + std * middle))
        return tensor

    def start_of(self, tensor: Tensor) -> Start | None:
        """Return how the entries of a tensor begin; None if nothing was drawn, or it is not known what."""
        return self._starts.get(_key(tensor), (None, None))[1]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Make no large tensors, and write down what is done to them."""
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if func in _FACTORIES:
            return self._new(func, args, kwargs)
        asks_for = getattr(getattr(func, "__self__", None), "__name__", "")
        if asks_for == "is_meta" and _in_initialisation():
            self._put(args[0], None)  # torch's orthogonal and other starts do nothing on the meta device
        first = args[0] if args else kwargs.get("tensor")
        if name.endswith("_") and not name.startswith("_") and isinstance(first, Tensor) and first.is_meta:
            if name == "kaiming_uniform_":
                name, args = "uniform_", (first, *_kaiming_bounds(first, kwargs))
            self._write(name, first, args[1:], {} if name == "uniform_" and len(args) > 1 else kwargs)
            return first
        return func(*args, **kwargs)

    def _new(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        shape = _shape(args[:1] if func is torch.full else args, kwargs)
        least = self.smallest if func is torch.empty else _LARGE
        dtype = kwargs.get("dtype") or torch.get_default_dtype()
        if len(shape) < 2 or prod(shape) < least or not dtype.is_floating_point:
            return func(*args, **kwargs)
        options = {key: value for key, value in kwargs.items() if key in ("dtype", "requires_grad")}
        tensor = torch.empty(shape, device="meta", **options)
        if func is not torch.empty:
            self._put(tensor, _FACTORIES[func] or Start(0.0, "constant", float(args[1])))
        return tensor

    def _put(self, tensor: Tensor, start: Start | None) -> None:
        # The storage is held, so that no other one takes its place.
        self._starts[_key(tensor)] = (tensor.untyped_storage(), start)

    def _write(self, name: str, tensor: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Write down what an operation in place makes of the start; of a part of a tensor only that it is no longer known."""
        if tensor.storage_offset() != 0 or tensor.numel() * tensor.element_size() < tensor.untyped_storage().nbytes():
            if name not in ("zero_", "fill_", "constant_"):  # a padding row of zeros among the others
                self._put(tensor, None)
            return
        given = list(args) + [kwargs[key] for key in ("mean", "from", "a", "std", "to", "b", "value", "val") if key in kwargs]
        before = self.start_of(tensor)
        if name == "uniform_":
            low, high = (*map(float, given), *((0.0, 1.0)[len(given) :]))
            self._put(tensor, Start((high - low) / sqrt(12), "uniform", (high + low) / 2))
        elif name == "normal_":
            mean, std = (*map(float, given), *((0.0, 1.0)[len(given) :]))
            self._put(tensor, Start(std, "normal", mean))
        elif name in ("zero_", "fill_", "constant_"):
            self._put(tensor, Start(0.0, "constant", float(given[0]) if given else 0.0))
        elif name in ("mul_", "div_") and before is not None and isinstance(given[0], int | float):
            factor = given[0] if name == "mul_" else 1 / given[0]
            self._put(tensor, Start(abs(factor) * before.std, before.kind, factor * before.mean))
        elif name == "add_" and before is not None and isinstance(given[0], int | float):
            self._put(tensor, Start(before.std, before.kind, before.mean + given[0]))
        elif name == "copy_":  # of a checkpoint: trained numbers have no start
            self._put(tensor, self.start_of(given[0]) if isinstance(given[0], Tensor) and given[0].is_meta else None)
        elif name not in ("clamp_", "requires_grad_", "detach_"):
            self._put(tensor, None)


def _in_initialisation() -> bool:
    """Return whether it is one of torch's own initialisations that has asked."""
    frame, near = sys._getframe(1), 8
    while frame is not None and near and frame.f_globals.get("__name__") != init.__name__:
        frame, near = frame.f_back, near - 1
    return frame is not None and near > 0


def _kaiming_bounds(tensor: Tensor, given: dict[str, Any]) -> tuple[float, float]:
    """Return the interval of `torch.nn.init.kaiming_uniform_`, which hands itself over before it draws."""
    fan = prod(tensor.shape[1:]) if given.get("mode", "fan_in") == "fan_in" else prod(tensor.shape) // tensor.shape[1]
    gain = init.calculate_gain(given.get("nonlinearity", "leaky_relu"), given.get("a", 0))
    bound = gain * sqrt(3 / fan)
    return -bound, bound


def _truncated(low: float, high: float) -> tuple[float, float]:
    """Return std and mean of a standard normal that is cut at two ends."""
    share = (erf(high / sqrt(2)) - erf(low / sqrt(2))) / 2
    at_low, at_high = (exp(-(end**2) / 2) / sqrt(2 * pi) for end in (low, high))
    mean = (at_low - at_high) / share
    return sqrt(1 + (low * at_low - high * at_high) / share - mean**2), mean


def _shape(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int, ...]:
    size = kwargs.get("size", args)
    size = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
    return tuple(int(length) for length in size)


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


_FACTORIES: dict[Any, Start | None] = {
    torch.empty: None,
    torch.zeros: Start(0.0, "constant"),
    torch.ones: Start(0.0, "constant", 1.0),
    torch.full: None,
    torch.randn: Start(1.0),
    torch.rand: Start(1 / sqrt(12), "uniform", 0.5),
}
