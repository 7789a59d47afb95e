"""The best answer that never looks at the input, for any loss function."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from math import inf, isfinite, isnan
from typing import Any

import torch
from torch import Tensor, nn

from fathometer.contract import LossFunction, batch_size, call, map_tensors
from fathometer.errors import BatchError

Limit = Callable[[Tensor], Tensor]


def least_constant_loss(model: nn.Module, pairs: Sequence[tuple[Any, Any]], loss_fn: LossFunction) -> float:
    """Return the lowest loss over (inputs, targets) of an output that is the same for every sample, found by L-BFGS.

    Where the model answers in probabilities, or in their logarithms, so does the constant. Raises `BatchError` if no
    constant has a finite loss.
    """
    outputs = _answers(model, [inputs for inputs, _ in pairs])
    best = min(_search(outputs, pairs, loss_fn, in_unit_interval) for in_unit_interval in (True, False))
    if not isfinite(best):
        raise BatchError(
            "No constant output has a finite loss",
            "A trained network is held against the best one",
            "Check loss_fn(output, targets) with an output of zeros",
        )
    return best


def _search(outputs: Sequence[Any], pairs: Sequence[tuple[Any, Any]], loss_fn: LossFunction, in_unit_interval: bool) -> float:
    sizes = [batch_size(inputs) for inputs, _ in pairs]
    answer = _Constant(outputs[0], sizes[0], in_unit_interval)
    optimizer = torch.optim.LBFGS(answer.free, max_iter=100, line_search_fn="strong_wolfe")
    found, unit = [inf], list[float]()

    def closure() -> Tensor:
        optimizer.zero_grad()
        each = zip(outputs, sizes, pairs, strict=True)
        losses = [loss_fn(answer.like(output), targets) * size for output, size, (_, targets) in each]
        total = torch.stack(losses).sum() / sum(sizes)
        unit.append(max(abs(float(total.detach())), 1e-30))  # L-BFGS stops at small slopes: in units of its first value
        if total.requires_grad:
            (total / unit[0]).backward()
        found.append(float(total.detach()))
        return total / unit[0]

    # A step may leave the range that the loss takes: then the best so far stands.
    with suppress(RuntimeError, ValueError, IndexError), torch.enable_grad():
        optimizer.step(closure)
    return min(loss for loss in found if not isnan(loss))


def _answers(model: nn.Module, inputs: Sequence[Any]) -> list[Any]:
    twin = deepcopy(model).eval()
    device = next((parameter.device for parameter in twin.parameters()), torch.device("cpu"))
    with torch.no_grad():
        return [call(twin, map_tensors(each, lambda tensor: tensor.to(device))) for each in inputs]


class _Constant:
    """Free numbers in place of every floating-point tensor of an output, without its batch axis."""

    def __init__(self, output: Any, size: int, in_unit_interval: bool) -> None:
        self.free: list[Tensor] = []
        self.limits: list[Limit] = []
        map_tensors(output, lambda tensor: self._add(tensor, size, in_unit_interval))

    def _add(self, tensor: Tensor, size: int, in_unit_interval: bool) -> Tensor:
        if tensor.is_floating_point():
            shape = list(tensor.shape)
            axis = _batch_axis(tensor, size)
            if axis is not None:
                shape[axis] = 1
            self.free.append(torch.zeros(shape, dtype=torch.float32, device=tensor.device, requires_grad=True))
            self.limits.append(_range_of(tensor, in_unit_interval))
        return tensor

    def like(self, output: Any) -> Any:
        """Return the constant in the structure and the shapes of an output."""
        parts = iter(zip(self.free, self.limits, strict=True))

        def replace(tensor: Tensor) -> Tensor:
            if not tensor.is_floating_point():
                return tensor
            free, limit = next(parts)
            return limit(free).to(tensor.dtype).expand(tensor.shape)

        return map_tensors(output, replace)


def _batch_axis(tensor: Tensor, size: int) -> int | None:
    return next((axis for axis, length in enumerate(tensor.shape[:3]) if length == size), None)


def _range_of(tensor: Tensor, in_unit_interval: bool) -> Limit:
    """Return the function that maps any numbers into the range in which these answers lie."""
    values, tolerance = tensor.double(), 1e-3  # bfloat16 keeps about three digits
    if tensor.ndim > 1 and tensor.shape[-1] > 1 and bool(values.isfinite().all()):
        if bool(((values.exp().sum(dim=-1) - 1).abs() < tolerance).all()):
            return lambda free: free.log_softmax(dim=-1)
        if bool((values >= 0).all() and ((values.sum(dim=-1) - 1).abs() < tolerance).all()):
            return lambda free: free.softmax(dim=-1)
    if in_unit_interval and bool(((values >= 0) & (values <= 1)).all()):
        return torch.sigmoid
    return lambda free: free
