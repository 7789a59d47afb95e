"""Which module is at work, and what it took: the book behind an account."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, UntypedStorage, nn
from torch.autograd.graph import Node

from fathometer.contract import tensors_in
from fathometer.instruments.taps import Call


class Ledger:
    """Operations and kept bytes, each written to the module at work.

    In a forward pass that is the innermost one that was entered, in a backward pass the one in which the node of the graph
    was made. `forward_flops` and `backward_flops` are by module, `tensor_flops` by the first name of a parameter (forward
    only), `kept` holds every storage that autograd keeps with the modules that keep it, `entered` what was given to a module.
    """

    def __init__(self, model: nn.Module) -> None:
        self.forward_flops, self.backward_flops, self.tensor_flops = Counter[str](), Counter[str](), Counter[str]()
        self.calls, self.trace = Counter[str](), list[tuple[str, int]]()
        self.kept: dict[int, tuple[UntypedStorage, list[str]]] = {}
        self.entered: dict[str, list[UntypedStorage]] = {}
        self.is_backward = False
        self._at_work, self._owner, self._known = list[str](), "", set[Node]()
        self._parameters = {_key(tensor): name for name, tensor in model.named_parameters()}
        self._own = {_key(tensor) for tensor in (*model.parameters(), *model.buffers())}

    @property
    def now(self) -> str:
        """Return the name of the module at work."""
        return self._at_work[-1] if self._at_work else self._owner

    def enter(self, name: str, inputs: Any) -> None:
        """Open a call of a module; what was made of its inputs until here is its caller's."""
        for _, tensor in tensors_in(inputs):
            self._claim(tensor, self.now)
        self._at_work.append(name)
        if not self.is_backward:  # a checkpointed block runs again during the backward pass
            self.entered.setdefault(name, []).extend(tensor.untyped_storage() for _, tensor in tensors_in(inputs))

    def leave(self, call: Call) -> None:
        """Close a call: the nodes behind its output that nobody owns yet are its own."""
        for _, tensor in tensors_in(call.output):
            self._claim(tensor, call.name)
        self._at_work.pop()
        if not self.is_backward:
            self.calls[call.name] += 1
            self.trace.append((call.name, call.index))

    def count(self, flops: int, arguments: tuple[Any, ...]) -> None:
        """Write down one product."""
        if self.is_backward:
            self.backward_flops[self.now] += flops
            return
        self.forward_flops[self.now] += flops
        names = {self._parameters.get(_key(argument)) for argument in arguments if isinstance(argument, Tensor)}
        for name in names - {None}:
            self.tensor_flops[str(name)] += flops

    def keep(self, tensor: Tensor) -> Tensor:
        """Write down a tensor that autograd keeps, unless it is the model's own."""
        key = _key(tensor)
        if not self.is_backward and key not in self._own:
            # The storage is held, so that no other one takes its address.
            self.kept.setdefault(key, (tensor.untyped_storage(), []))[1].append(self.now)
        return tensor

    def recomputed_bytes(self, blocks: Mapping[str, Sequence[str]]) -> int:
        """Return the most bytes that are there at once where blocks keep their inputs only, and one of them runs again.

        `blocks` holds, by the module that a block's input enters, the modules that make the block up.
        """
        block_of = {member: enter for enter, members in blocks.items() for member in members}
        stays = {storage._cdata: storage for enter in blocks for storage in self.entered[enter]}
        given = {enter: {storage._cdata for storage in self.entered[enter]} for enter in blocks}
        made = Counter[str]()
        for key, (storage, owners) in self.kept.items():
            homes = [_home(owner, block_of) for owner in owners]
            if None in homes:
                stays[key] = storage
            if homes[0] is not None and key not in given[homes[0]]:
                made[homes[0]] += storage.nbytes()
        outside = sum(storage.nbytes() for key, storage in stays.items() if key not in self._own)
        return outside + max(made[enter] // self.calls[blocks[enter][-1]] for enter in blocks)

    def _claim(self, tensor: Tensor, name: str) -> None:
        nodes = [tensor.grad_fn]
        while nodes:
            node = nodes.pop()
            if node is None or node in self._known:
                continue
            self._known.add(node)
            node.register_prehook(lambda gradients: self._turn_to(name))  # lives as long as the graph
            nodes.extend(earlier for earlier, _ in node.next_functions)

    def _turn_to(self, name: str) -> None:
        self._owner = name


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _home(owner: str, block_of: Mapping[str, str]) -> str | None:
    """Return the block that a module lies in, or None."""
    parts = owner.split(".")
    return next((block_of[name] for n in range(len(parts)) if (name := ".".join(parts[: n + 1])) in block_of), None)
