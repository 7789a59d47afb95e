"""Parameters, operations and bytes of any module, counted on meta."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from fathometer.contract import call, map_tensors, tensors_in
from fathometer.errors import FathometerError, ModelError
from fathometer.instruments.depth_points import find_depth_points
from fathometer.instruments.ledger import Ledger
from fathometer.instruments.on_meta import on_meta
from fathometer.instruments.products import FusedAttention, ProductCounter
from fathometer.instruments.taps import listen

ADAM_STATES = 2  # two running means for each parameter


@dataclass(frozen=True)
class TensorCost:
    """One parameter: every name it has, its shape and bytes, and the forward operations of the products that it enters.

    A weight that is cast or changed before it enters a product counts with its module, not here.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    bytes: int
    requires_grad: bool
    forward_flops: int

    @property
    def parameters(self) -> int:
        """Return how many numbers it holds."""
        return prod(self.shape)


@dataclass(frozen=True)
class ModuleCost:
    """What one module takes by itself, without the modules inside it, over all its calls."""

    name: str
    kind: str
    calls: int
    parameters: int
    forward_flops: int
    backward_flops: int
    activation_bytes: int


@dataclass(frozen=True)
class Accounting:
    """What one training step takes: by parameter, by module in the order of definition, and in sum.

    Operations are those of matrix products and convolutions, two for each multiplication with its addition; look-ups, norms,
    activations and sums are not counted. `activation_bytes` is what autograd keeps for the backward pass, each tensor once;
    `recomputed_activation_bytes` is the most that is there at once where each of the repeated blocks keeps its input only
    and runs again (None without such blocks). `uncounted` names operations that look like products and have no formula.
    """

    tensors: tuple[TensorCost, ...]
    modules: tuple[ModuleCost, ...]
    recomputed_activation_bytes: int | None
    uncounted: tuple[str, ...]

    @property
    def parameters(self) -> int:
        """Return the number of parameters, each once, however many names it has."""
        return sum(tensor.parameters for tensor in self.tensors)

    @property
    def forward_flops(self) -> int:
        """Return the operations of one forward pass."""
        return sum(module.forward_flops for module in self.modules)

    @property
    def backward_flops(self) -> int:
        """Return the operations of one backward pass, which no gradient of the inputs is asked of."""
        return sum(module.backward_flops for module in self.modules)

    @property
    def training_flops(self) -> int:
        """Return the operations of forward and backward."""
        return self.forward_flops + self.backward_flops

    @property
    def recomputed_training_flops(self) -> int:
        """Return the operations of forward and backward where every product of the forward pass is run again."""
        return 2 * self.forward_flops + self.backward_flops

    @property
    def parameter_bytes(self) -> int:
        """Return the bytes of the parameters, each in its own dtype."""
        return sum(tensor.bytes for tensor in self.tensors)

    @property
    def gradient_bytes(self) -> int:
        """Return the bytes of the gradients of all that is not frozen."""
        return sum(tensor.bytes for tensor in self.tensors if tensor.requires_grad)

    @property
    def optimizer_bytes(self) -> int:
        """Return the bytes of Adam's running means, kept in the dtype of their parameter as torch does."""
        return ADAM_STATES * self.gradient_bytes

    @property
    def activation_bytes(self) -> int:
        """Return the bytes that autograd keeps between forward and backward."""
        return sum(module.activation_bytes for module in self.modules)


def account(model: nn.Module, inputs: Any) -> Accounting:
    """Return what a training step of any module takes on such inputs, without computing a number.

    Module and inputs are copied to the meta device, so no size is an obstacle and the module is left alone; the copy runs in
    the mode (train or eval) that the module is in. The backward pass starts from every output that has a gradient; the loss
    itself is not counted. `scaled_dot_product_attention` counts all pairs, masked ones too; it keeps what a fused kernel
    keeps, and what such a kernel computes twice counts once.

    Raises `ModelError` for a module that cannot be copied, or whose path depends on numbers, which are not there.

    >>> account(nn.Linear(3, 5), torch.zeros(2, 3)).forward_flops
    60
    """
    twin = on_meta(model)
    inputs = map_tensors(inputs, lambda tensor: torch.empty_like(tensor, device="meta", requires_grad=False))
    ledger = Ledger(twin)
    with _listening(twin, ledger) as counter:
        output = _run(twin, inputs)
        ends = [tensor for _, tensor in tensors_in(output) if tensor.requires_grad]
        ledger.is_backward = True
        torch.autograd.backward(ends, [torch.empty_like(tensor) for tensor in ends])
    tensors = _tensor_costs(twin, ledger)
    modules = _module_costs(twin, ledger, tensors)
    return Accounting(tensors, modules, _recomputed(twin, ledger), tuple(sorted(counter.unknown)))


@contextmanager
def _listening(twin: nn.Module, ledger: Ledger) -> Iterator[ProductCounter]:
    has_fast_path = torch.backends.mha.get_fastpath_enabled()
    counter = ProductCounter(ledger.count)
    with ExitStack() as stack:
        # The fast path of torch's encoder is one opaque operation.
        stack.callback(torch.backends.mha.set_fastpath_enabled, has_fast_path)
        torch.backends.mha.set_fastpath_enabled(False)
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.device("meta"))  # for what a forward pass makes by itself
        stack.enter_context(saved_tensors_hooks(ledger.keep, lambda tensor: tensor))
        stack.enter_context(listen(twin, on_enter=ledger.enter, on_call=ledger.leave))
        stack.enter_context(FusedAttention())
        yield stack.enter_context(counter)


def _run(twin: nn.Module, inputs: Any) -> Any:
    try:
        return call(twin, inputs)
    except FathometerError:
        raise
    except Exception as problem:
        raise ModelError(
            f"The module raised {type(problem).__name__} on the meta device: {problem}",
            "Counting runs on tensors that have shapes and no numbers",
            "Check the inputs; if the path depends on numbers or makes tensors on a fixed device, count the parts without that",
        ) from problem


def _tensor_costs(twin: nn.Module, ledger: Ledger) -> tuple[TensorCost, ...]:
    names = defaultdict[int, list[str]](list)
    for name, parameter in twin.named_parameters(remove_duplicate=False):
        names[id(parameter)].append(name)
    return tuple(
        TensorCost(
            tuple(names[id(parameter)]),
            tuple(parameter.shape),
            parameter.numel() * parameter.element_size(),
            parameter.requires_grad,
            ledger.tensor_flops[name],
        )
        for name, parameter in twin.named_parameters()
    )


def _module_costs(twin: nn.Module, ledger: Ledger, tensors: tuple[TensorCost, ...]) -> tuple[ModuleCost, ...]:
    own, kept = defaultdict[str, int](int), defaultdict[str, int](int)
    for tensor in tensors:
        own[tensor.names[0].rpartition(".")[0]] += tensor.parameters
    for storage, owners in ledger.kept.values():
        kept[owners[0]] += storage.nbytes()
    return tuple(
        ModuleCost(
            name,
            type(module).__name__,
            ledger.calls[name],
            own[name],
            ledger.forward_flops[name],
            ledger.backward_flops[name],
            kept[name],
        )
        for name, module in twin.named_modules()
    )


def _recomputed(twin: nn.Module, ledger: Ledger) -> int | None:
    found = find_depth_points(twin, ledger.trace)
    if found.found_as != "blocks":
        return None
    return ledger.recomputed_bytes({point.enter: point.members for point in found.points})
