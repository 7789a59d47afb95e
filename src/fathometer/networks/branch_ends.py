"""Where each residual branch ends: the last weights before the sum."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from fathometer.contract import call, main_tensor, split_batch, tensors_in
from fathometer.errors import ModelError

Node = Any  # of torch's graph of gradients
_VIEWS = ("TBackward", "Transpose", "Permute", "View", "Reshape", "ToCopy", "Expand", "Squeeze", "Unsqueeze", "Split", "Slice")
# What mixes units or places: a path through one of these is no stream.
_PRODUCTS = ("Addmm", "Mm", "Bmm", "Baddbmm", "Convolution", "ScaledDot", "Attention", "Einsum", "Linear")


def branch_ends(model: nn.Module, blocks: Sequence[str], batch: Any) -> dict[str, list[str]]:
    """Return, for each block, the parameters that end its residual branches: what scales them scales what is added.

    These are the last matrix and its bias, or where a norm or a learned scale comes after that, its gain and bias. The batch
    goes through the model once; where gradients would flow tells what is added to what the block was given.

    Raises `ModelError` for a block in which nothing is added to its input.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    ends = dict[str, list[str]]()
    with _Listening(model, blocks) as heard:
        call(model, split_batch(batch)[0])
    for block in blocks:
        given, gave = heard.ends[block]
        found = [names[id(weight)] for node in _branches(gave.grad_fn, given.grad_fn) for weight in _first_weights(node)]
        ends[block] = list(dict.fromkeys(found))
        if not found:
            raise ModelError(
                f'In "{block}" nothing with weights is added to what it is given',
                "Depth is scaled by what residual branches add",
                "Use muP, which needs no branches, or add the block's output to its input",
            )
    return ends


def readout_norm(model: nn.Module, inside: Mapping[str, object], batch: Any) -> list[str]:
    """Return the gain and bias of the norm before the readout, by name; none where there is no such norm.

    `inside` holds the parameters of blocks, before which the search ends.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    output = main_tensor(call(model, split_batch(batch)[0]))
    assert output is not None
    readout = next((node for node in _walk(output.grad_fn) if _is_product(node)), None)
    if readout is None:
        return []
    weights = {id(weight) for weight in _weights_of(readout)}
    found = list[str]()
    for node, _ in readout.next_functions:
        if node is not None and not any(id(weight) in weights for weight in _leaves(node)):
            found += [names[id(weight)] for weight in _first_weights(node)]
    is_norm = found and all(model.get_parameter(name).ndim < 2 and name not in inside for name in found)
    return found if is_norm else []


class _Listening:
    """Hears what some modules are given and give, each with its place in the graph of gradients."""

    def __init__(self, model: nn.Module, blocks: Sequence[str]) -> None:
        self.model, self.blocks, self.ends, self._hooks = model, blocks, dict[str, tuple[Tensor, Tensor]](), list[Any]()

    def __enter__(self) -> "_Listening":
        for block in self.blocks:
            module = self.model.get_submodule(block)
            self._hooks.append(module.register_forward_pre_hook(self._given(block), with_kwargs=True))
            self._hooks.append(module.register_forward_hook(self._gave(block)))
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _given(self, block: str) -> Any:
        def hear(module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
            first = next((tensor for _, tensor in tensors_in((args, kwargs)) if tensor.is_floating_point()), None)
            assert first is not None, "a block is given a signal"
            if first.grad_fn is None:
                first = first.detach().requires_grad_()
            marked = first.view_as(first)  # a node of its own: where the block begins
            self.ends[block] = (marked, marked)
            return _replaced(args, first, marked), {name: marked if value is first else value for name, value in kwargs.items()}

        return hear

    def _gave(self, block: str) -> Any:
        def hear(module: nn.Module, args: Any, output: Any) -> None:
            gave = main_tensor(output)
            assert gave is not None
            self.ends[block] = (self.ends[block][0], gave)

        return hear


def _replaced(args: tuple[Any, ...], old: Tensor, new: Tensor) -> tuple[Any, ...]:
    return tuple(new if value is old else value for value in args)


def _branches(node: Node, begin: Node) -> Iterator[Node]:
    """Yield the nodes whose results are added to the stream, which leads from `begin` to `node` through no product."""
    reaches = dict[Node, bool]()
    seen = set[Node]()
    waiting = [node]
    while waiting:
        here = waiting.pop()
        if here in seen or here is begin:
            continue
        seen.add(here)
        inner = [child for child, _ in here.next_functions if child is not None]
        on_stream = [child for child in inner if _reaches(child, begin, reaches)]
        if here.name().startswith(("AddBackward", "AddcmulBackward")) and 0 < len(on_stream) < len(inner):
            yield from (child for child in inner if child not in on_stream)
        waiting += on_stream


def _reaches(node: Node, begin: Node, known: dict[Node, bool]) -> bool:
    """Return whether a node's result holds the stream itself; walks without recursion, as networks are deep."""
    order, stack = list[Node](), [node]
    while stack:
        here = stack.pop()
        if here in known:
            continue
        known[here] = here is begin
        if here is not begin and not _is_product(here):
            order.append(here)
            stack += [child for child, _ in here.next_functions if child is not None]
    for here in reversed(order):
        known[here] = known[here] or any(known.get(child, False) for child, _ in here.next_functions if child is not None)
    return known[node]


def _first_weights(node: Node) -> Iterator[nn.Parameter]:
    """Yield the weights nearest to a node on every path back from it: the last ones that its result went through."""
    waiting, seen = [node], set[Node]()
    while waiting:
        here = waiting.pop()
        if here in seen:
            continue
        seen.add(here)
        own = list(_weights_of(here))
        yield from own
        is_bias_alone = bool(own) and here.name().startswith("AddBackward")
        if not own or is_bias_alone:
            waiting += [child for child, _ in here.next_functions if child is not None and not hasattr(child, "variable")]


def _weights_of(node: Node) -> Iterator[nn.Parameter]:
    """Yield the parameters that a node takes itself, also turned or viewed."""
    for child, _ in node.next_functions:
        while child is not None and not hasattr(child, "variable"):
            inner = [next_child for next_child, _ in child.next_functions if next_child is not None]
            child = inner[0] if len(inner) == 1 and child.name().startswith(_VIEWS) else None
        if child is not None and isinstance(child.variable, nn.Parameter):
            yield child.variable


def _walk(node: Node) -> Iterator[Node]:
    """Yield a node and those before it, the nearest first."""
    waiting, seen = [node], set[Node]()
    while waiting:
        here = waiting.pop(0)
        if here is not None and here not in seen:
            seen.add(here)
            yield here
            waiting += [child for child, _ in here.next_functions]


def _leaves(node: Node) -> Iterator[Tensor]:
    """Yield the parameter that a node is, turned or viewed; nothing for any other."""
    while node is not None and not hasattr(node, "variable"):
        inner = [child for child, _ in node.next_functions if child is not None]
        node = inner[0] if len(inner) == 1 and node.name().startswith(_VIEWS) else None
    if node is not None:
        yield node.variable


def _is_product(node: Node) -> bool:
    return node.name().startswith(_PRODUCTS)
