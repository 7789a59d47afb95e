"""Nothing is changed by looking: each kind of thing that a module holds."""

import random
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fathometer.instruments import unchanged


def bits(tensor: Tensor) -> list[int]:
    """Return the bytes of a tensor."""
    return tensor.detach().clone().contiguous().reshape(-1).view(torch.uint8).tolist()


class Holder(nn.Module):
    """A module with one of everything."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm, self.frozen = nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3)
        self.frozen.requires_grad_(False)
        self.counter, self.cache, self.names = 0, torch.tensor([-0.0, float("nan"), 1.0]), ["a"]
        self.table: dict[str, list[int]] = {"seen": [1]}
        self.queue, self.kinds = deque([1, 2], maxlen=3), {1, 2}
        self.hidden = [nn.Linear(2, 2)]  # not registered, as in a common mistake
        self.generators = (torch.Generator().manual_seed(1), random.Random(1), np.random.default_rng(1), np.random.RandomState(1))
        self.adjacency = torch.eye(3).to_sparse()
        self.double_wide = torch.ones(2, dtype=torch.complex128)
        self.register_buffer("scratch", torch.zeros(2), persistent=False)


def in_place(holder: Holder) -> None:
    """Change a parameter as a layer that normalises its weights does."""
    with torch.no_grad():
        holder.linear.weight.add_(1)


def past_the_version(holder: Holder) -> None:
    """Change numbers in ways that leave no trace in a tensor's version."""
    holder.linear.weight.data.mul_(0.5)
    holder.linear.bias.detach().numpy()[:] = 7


def replaced(holder: Holder) -> None:
    """Put other tensors in the place of parameters and buffers."""
    holder.linear.weight.data = torch.ones(3, 3)
    holder.linear.bias.data = holder.linear.bias.data[:2]
    holder.norm.running_mean = torch.ones(3)
    holder.linear._parameters["bias"] = nn.Parameter(torch.zeros(3))


def retyped(holder: Holder) -> None:
    """Change the type of everything."""
    holder.double()


def transposed(holder: Holder) -> None:
    """Read the same memory in another order."""
    holder.linear.weight.data = holder.linear.weight.data.t()


def attributes(holder: Holder) -> None:
    """Change attributes and what is in them."""
    holder.counter += 1
    holder.cache.abs_()
    holder.names.append("b")
    holder.table["seen"].append(2)
    holder.table["new"] = []
    holder.queue.append(3)
    holder.kinds.add(3)
    holder.new = 1
    del holder.counter
    holder.hidden[0].weight.data.zero_()
    holder.hidden.clear()
    holder.double_wide.mul_(1j)


def registered(holder: Holder) -> None:
    """Register and remove tensors, modules and hooks."""
    holder.register_buffer("more", torch.ones(1), persistent=False)
    holder.register_parameter("extra", nn.Parameter(torch.ones(1)))
    holder.extra_layer = nn.Linear(1, 1)
    del holder.norm
    holder.linear.register_forward_hook(print)
    holder.linear.register_full_backward_pre_hook(print)


def modes(holder: Holder) -> None:
    """Change modes and what takes gradients."""
    holder.train(not holder.training)
    holder.linear.requires_grad_(False)
    holder.frozen.requires_grad_(True)


def gradients(holder: Holder) -> None:
    """Change, add and remove gradients."""
    holder.linear.weight.grad.zero_()
    holder.linear.bias.grad = torch.ones(3)
    holder.norm.weight.grad = None


def generators(holder: Holder) -> None:
    """Draw from all generators."""
    torch.rand(3), np.random.rand(3), random.random()
    torch_generator, python, numpy, old_numpy = holder.generators
    torch.rand(3, generator=torch_generator), python.random(), numpy.random(), old_numpy.rand()


def sparse(holder: Holder) -> None:
    """Change a sparse tensor."""
    holder.adjacency.mul_(3)


CHANGES: dict[str, Callable[[Holder], None]] = {
    function.__name__: function
    for function in (
        in_place, past_the_version, replaced, retyped, transposed, attributes, registered, modes, gradients, generators, sparse
    )
}  # fmt: skip


def made() -> Holder:
    """Return a module with mixed modes, gradients and a hook."""
    torch.manual_seed(0)
    holder = Holder()
    holder.norm.eval()
    holder.linear.weight.grad = torch.full((3, 3), 2.0)
    holder.norm.weight.grad = torch.full((3,), 3.0)
    holder.linear.register_forward_hook(repr)
    return holder


def portrait(holder: Holder) -> dict[str, object]:
    """Return everything by value and by identity, taken by hand."""
    drawn = [generator.get_state().tolist() if hasattr(generator, "get_state") and isinstance(generator, torch.Generator) else
             repr(generator.getstate()) if isinstance(generator, random.Random) else
             repr(generator.bit_generator.state) if isinstance(generator, np.random.Generator) else
             repr(generator.get_state()) for generator in holder.generators]  # fmt: skip
    tensors = OrderedDict([*holder.named_parameters(), *holder.named_buffers(), ("cache", holder.cache)])
    tensors |= {"hidden": holder.hidden[0].weight, "wide": holder.double_wide, "sparse": holder.adjacency.to_dense()}
    return {
        "bits": {name: (bits(tensor), tensor.dtype, tensor.stride()) for name, tensor in tensors.items()},
        "identity": {name: (id(tensor), tensor.data_ptr()) for name, tensor in tensors.items() if name != "sparse"},
        "needs gradient": {name: tensor.requires_grad for name, tensor in tensors.items()},
        "gradients": {n: None if p.grad is None else (id(p.grad), bits(p.grad)) for n, p in holder.named_parameters()},
        "modes": [(name, module.training) for name, module in holder.named_modules()],
        "attributes": [(list(vars(module)), list(module._modules), list(module._parameters)) for module in holder.modules()],
        "hooks": [{k: dict(v) for k, v in vars(module).items() if "hooks" in k} for module in holder.modules()],
        "plain": (
            holder.counter,
            list(holder.names),
            repr(holder.table),
            list(holder.queue),
            set(holder.kinds),
            len(holder.hidden),
        ),
        "not persistent": [set(module._non_persistent_buffers_set) for module in holder.modules()],
        "generators": drawn,
        "global": (torch.get_rng_state().tolist(), repr(np.random.get_state()), random.getstate()),
    }


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("problem", [None, ValueError, KeyboardInterrupt], ids=str)
def test_everything_is_put_back(change: str, problem: type[BaseException] | None) -> None:
    """Whatever the block does, and however it ends, the module and the generators are as they were, bit for bit."""
    holder = made()
    before, inside = portrait(holder), []

    def look() -> None:
        with unchanged(holder):
            CHANGES[change](holder)
            inside.append(describe_or_none(holder))
            if problem is not None:
                raise problem

    with nullcontext() if problem is None else pytest.raises(problem):
        look()
    after = portrait(holder)

    assert inside != [before]  # the control: the change is one that the portrait sees
    for part, value in before.items():
        if part == "attributes":  # an attribute that was deleted comes back at the end
            assert [[sorted(names) for names in module] for module in value] == [
                [sorted(names) for names in module] for module in after[part]
            ]
        else:
            assert value == after[part], part


def describe_or_none(holder: Holder) -> dict[str, object] | None:
    """Return the portrait, or None where so much has changed that there is none."""
    try:
        return portrait(holder)
    except (AttributeError, IndexError):
        return None


def test_a_graph_that_the_user_holds_stays_good() -> None:
    """What was not changed is not written: a backward pass begun before the look still works after it."""
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 1))
    loss = model(torch.randn(2, 3)).sum()
    with unchanged(model):
        model(torch.randn(2, 3)).sum().backward()
    assert all(parameter.grad is None for parameter in model.parameters())
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_looks_may_be_nested() -> None:
    """An inner look puts back what the outer one has changed so far; the outer one puts back the rest."""
    model = nn.Linear(2, 2)
    start = bits(model.weight)
    with unchanged(model):
        model.weight.data.add_(1)
        middle = bits(model.weight)
        with unchanged(model):
            model.weight.data.add_(1)
        assert middle == bits(model.weight)
    assert start == bits(model.weight)


def test_a_module_on_no_device_is_kept_too() -> None:
    """Tensors on the meta device have no numbers to keep."""
    model = nn.Linear(2, 2, device="meta")
    with unchanged(model):
        model.register_buffer("more", torch.zeros(1))
    assert "more" not in dict(model.named_buffers())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.float8_e4m3fn, torch.complex64], ids=str)
def test_bits_of_any_type_are_kept(dtype: torch.dtype) -> None:
    """Also where a type has no comparison of its own, or tells 0 from -0."""
    model = nn.Module()
    model.register_buffer("numbers", torch.tensor([0.0, 1.0, -0.0]).to(dtype))
    before = bits(model.numbers)
    with unchanged(model):
        model.numbers.copy_(torch.tensor([-0.0, 1.0, 0.0]))
        assert before != bits(model.numbers)
    assert before == bits(model.numbers)
