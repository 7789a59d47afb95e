"""Which operation made the first number that is not finite, and where."""

import linecache
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import isfinite, isinf
from pathlib import Path
from types import FrameType
from typing import Any

import jaxtyping
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fathometer.contract import main_tensor, tensors_in
from fathometer.instruments.non_finite import NonFinite, Value
from fathometer.instruments.taps import Call, listen

_HOMES = (*(str(Path(package.__file__ or "").parent) for package in (torch, jaxtyping)), str(Path(__file__).parents[1]))
# What users call the operations of which torch makes theirs; other names lose their underscores and "native".
_NAMES = {
    "_to_copy": "to", "addmm": "linear", "mm": "matmul", "bmm": "matmul", "baddbmm": "baddbmm", "linalg_vector_norm": "norm",
}  # fmt: skip
_OVERWRITES = ("fill", "fill_", "copy_", "zero_", "normal_", "uniform_", "bernoulli_", "exponential_", "random_")


@dataclass(frozen=True)
class _Mark:
    """Where what is not finite in a tensor comes from; it is `meant` if it was written as a constant, as masks are."""

    order: int
    origin: NonFinite
    meant: bool = False


def first_non_finite(
    model: nn.Module, run: Callable[[], Any], loss_of: Callable[[Any], Tensor], *, scale: float = 1.0
) -> NonFinite | None:
    """Return where the first number came from that is not finite in the output, the loss or the gradients; None if all are.

    `run` calls the model, `loss_of` makes a scalar of its output; the gradient starts from `scale`. An infinity that is
    written as a constant, as in a mask, is no fault, nor is anything that does not reach the end. An overflow that becomes
    NaN later counts where it overflowed. Slow: every operation is looked at.
    """
    trace = _Trace(model)
    with listen(model, on_enter=trace.enter, on_call=trace.leave), trace:
        output = run()
        loss = loss_of(output)
    for tensor in (main_tensor(output), loss):
        mark = None if tensor is None or kind_of(tensor) is None else trace.mark_of(tensor)
        if mark is not None and not mark.meant:
            return mark.origin
    return _in_backward(model, loss, scale, trace)


def all_finite(tensor: Tensor) -> bool:
    """Return whether every number is finite.

    The sum alone tells, unless finite numbers overflow in it.
    """
    if tensor.is_complex() or tensor.layout != torch.strided or tensor.itemsize == 1:
        return kind_of(tensor) is None
    tensor = tensor.detach()
    return isfinite(tensor.sum().item()) or bool(torch.isfinite(tensor).all())


def kind_of(tensor: Tensor) -> Value | None:
    """Return what is not finite in a tensor, NaN before infinity, or None."""
    if not (tensor.is_floating_point() or tensor.is_complex()) or tensor.is_meta or tensor.layout != torch.strided:
        return None
    tensor = tensor.detach().float() if tensor.itemsize == 1 else tensor.detach()  # eight bits have no isfinite
    if bool(torch.isfinite(tensor).all()):
        return None
    return "NaN" if bool(torch.isnan(tensor).any()) else "infinity"


class _Trace(TorchDispatchMode):
    """Follows what is not finite from operation to operation, by the memory that tensors lie in."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.modules: list[str] = []
        self.marks: dict[int, tuple[Any, _Mark]] = {}  # by storage, which is kept so that its place is not used again
        self.sites: dict[int, NonFinite] = {}  # by the number of the autograd node that was made for it
        self.given: dict[int, tuple[str, bool]] = {}
        self.count = 0
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            self.given[_place(tensor)] = (name, isinstance(tensor, nn.Parameter))

    def enter(self, name: str, inputs: Any) -> None:
        if not self.modules:
            for _, tensor in tensors_in(inputs):
                self.given.setdefault(_place(tensor), ("the inputs", False))
        self.modules.append(name)

    def leave(self, call: Call) -> None:
        self.modules.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.rpartition("::")[2]
        read = args[1:] if name in _OVERWRITES else args
        before = [mark for tensor in _tensors((read, kwargs)) if (mark := self.mark_of(tensor)) is not None]
        output = func(*args, **kwargs)
        site = self._site(name)
        self.sites.setdefault(torch.autograd._get_sequence_nr() - 1, site)
        values = [(tensor, kind) for tensor in _tensors(output) if (kind := kind_of(tensor)) is not None]
        for tensor, value in values:
            is_constant = value == "infinity" and any(isinstance(leaf, float) and isinf(leaf) for leaf in tree_leaves(args))
            self._write(tensor, _blamed(before, value) or _Mark(self.count, replace(site, value=value), is_constant))
        return output

    def mark_of(self, tensor: Tensor) -> _Mark | None:
        """Return where what is not finite in a tensor comes from; None if all of it is finite."""
        value = kind_of(tensor)
        if value is None:
            return None
        if _place(tensor) in self.marks:
            mark = self.marks[_place(tensor)][1]
            return replace(mark, meant=mark.meant and value == "infinity")
        name, is_parameter = self.given.get(_place(tensor), ("a constant", False))
        mark = _Mark(self.count, NonFinite(None, value, given=name), value == "infinity" and not is_parameter)
        self._write(tensor, mark)
        return mark

    def _write(self, tensor: Tensor, mark: _Mark) -> None:
        self.count += 1
        self.marks[_place(tensor)] = (tensor.untyped_storage(), mark)

    def _site(self, name: str) -> NonFinite:
        module = self.modules[-1] if self.modules else None
        frame = _users_frame(sys._getframe())
        if frame is None:
            return NonFinite(_spoken(name), "NaN", module=module)
        file, line = frame.f_code.co_filename, frame.f_lineno
        return NonFinite(_spoken(name), "NaN", False, module, file, line, linecache.getline(file, line).strip() or None)


def _blamed(before: list[_Mark], value: Value) -> _Mark | None:
    """Return which of the marks of what went in stands for what came out; None if the operation itself does."""
    faults = [mark for mark in before if not mark.meant]
    # A NaN in is a NaN out; the fault that came first counts.
    chosen = min(faults, key=lambda mark: (mark.origin.value != "NaN", mark.order), default=None)
    if chosen is not None or value == "NaN":
        return chosen
    return min(before, key=lambda mark: mark.order, default=None)


def _in_backward(model: nn.Module, loss: Tensor, scale: float, trace: _Trace) -> NonFinite | None:
    """Return which operation's derivative made a parameter's gradient not finite."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not loss.requires_grad or not parameters:
        return None
    nodes = _nodes(loss.grad_fn)
    made: dict[Any, tuple[list[Value | None], list[Value | None]]] = {}

    def hook_for(node: Any) -> Callable[..., None]:
        def hook(made_here: tuple[Tensor | None, ...], arrived: tuple[Tensor | None, ...]) -> None:
            made[node] = (_kinds(made_here), _kinds(arrived))

        return hook

    handles = [node.register_hook(hook_for(node)) for node in nodes]
    try:
        start = torch.full_like(loss, scale)
        gradients = torch.autograd.grad(loss, parameters, start, allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    pairs = zip(parameters, gradients, strict=True)
    ends = {torch.autograd.graph.get_gradient_edge(p).node for p, gradient in pairs if gradient is not None and kind_of(gradient)}
    node, value = _source(ends, made)
    if node is None or value is None:
        return None
    name = node.name().partition("Backward")[0].rpartition("::")[2].lower()
    site = trace.sites.get(node._sequence_nr(), NonFinite(name, value))
    return replace(site, value=value, in_backward=True)


def _source(ends: set[Any], made: dict[Any, Any]) -> tuple[Any, Value | None]:
    """Return the node that ran first of those that made of finite gradients what is not finite at the ends."""
    bad = {node: value for node, (out, _) in made.items() if (value := next(filter(None, out), None))}
    above: dict[Any, list[Any]] = {}
    for node in bad:
        for (below, _), value in zip(node.next_functions, made[node][0], strict=False):
            if value is not None and below is not None:
                above.setdefault(below, []).append(node)
    ways = list(ends)
    for node in ways:
        ways += [parent for parent in above.get(node, []) if parent not in ways]
    # Of the way back to the loss, what made it of finite numbers; or what only their sum, in front of it, was too large for.
    guilty = [node for node in bad if node in ways and (not any(made[node][1]) or not above.get(node))]
    return (guilty[0], bad[guilty[0]]) if guilty else (None, None)


def _nodes(root: Any) -> list[Any]:
    nodes, seen = [root], {root}
    for node in nodes:  # grows on the way
        new = {below for below, _ in node.next_functions if below is not None} - seen
        seen |= new
        nodes += new
    return nodes


def _kinds(gradients: tuple[Tensor | None, ...]) -> list[Value | None]:
    return [None if gradient is None else kind_of(gradient) for gradient in gradients]


def _tensors(value: Any) -> Iterator[Tensor]:
    yield from (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _spoken(name: str) -> str:
    """Return what users call an operation.

    >>> _spoken("_softmax"), _spoken("native_layer_norm"), _spoken("masked_fill_"), _spoken("nll_loss_forward")
    ('softmax', 'layer_norm', 'masked_fill', 'nll_loss')
    """
    if name.startswith("_scaled_dot_product"):
        return "scaled_dot_product_attention"
    return _NAMES.get(name, name.removesuffix("_forward").strip("_").removeprefix("native_"))


def _users_frame(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame that is neither torch's nor ours, inwards of where the look began."""
    while frame is not None and frame.f_code.co_qualname != first_non_finite.__qualname__:
        file = frame.f_code.co_filename
        if not file.startswith((*_HOMES, "<")):
            return frame
        frame = frame.f_back
    return None
