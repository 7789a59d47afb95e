"""Taps hear every call, and let go."""

import copy
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.instruments import Call, Ear, listen
from fathometer.instruments.activity import activation_hearers
from fathometer.instruments.taps import Hearer, around_modules


class Net(nn.Module):
    """Two layers, the second of which runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor, *, shift: Tensor | None = None) -> Tensor:
        x = self.first(x)
        x = self.second(x).relu()
        return self.second(x if shift is None else x + shift)


def hooks_of(model: nn.Module) -> list[object]:
    """Return all tables of hooks."""
    return [dict(table) for module in model.modules() for name, table in vars(module).items() if "hooks" in name]


def test_calls_come_in_the_order_in_which_modules_finish() -> None:
    """Each call has its name, how often the module ran before, its inputs and its output."""
    model, x = Net(), torch.randn(2, 3)
    with listen(model) as calls:
        output = model(x, shift=torch.ones(2, 4))

    assert [(call.name, call.index) for call in calls] == [("first", 0), ("second", 0), ("second", 1), ("", 0)]
    assert calls[0].inputs[0] is x
    assert calls[-1].output is output
    assert len(calls[-1].inputs) == 2  # also what was passed by name


def test_only_the_named_are_heard_and_nothing_is_kept_twice() -> None:
    """With names only these are listened to; with `on_call` the list stays empty."""
    model, heard = Net(), []
    with listen(model, ["second"], on_call=heard.append, on_enter=lambda name, inputs: heard.append(name)) as calls:
        model(torch.randn(2, 3))

    assert calls == []
    assert [item if isinstance(item, str) else (item.name, item.index) for item in heard] == [
        "second",
        ("second", 0),
        "second",
        ("second", 1),
    ]


def test_gradients_are_those_at_the_outputs() -> None:
    """Each call's gradient is autograd's own at that tensor, also where it is overwritten in place later."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Flatten(), nn.ReLU(inplace=True), nn.Linear(4, 1)).double()
    x, got = torch.randn(5, 3, dtype=torch.float64), {}
    with listen(model, on_call=lambda call: None, on_gradient=lambda call, gradient: got.update({call.name: gradient})):
        model(x).square().sum().backward()
    first = model[0](x)
    last = model[3](F.relu(first))
    expected = torch.autograd.grad(last.square().sum(), [first, last])

    assert torch.equal(expected[0], got["0"])
    assert torch.equal(expected[0], got["1"])
    assert torch.equal(expected[1], got["3"])
    assert torch.equal(expected[1], got[""])


@pytest.mark.parametrize("problem", [RuntimeError, KeyboardInterrupt])
def test_hooks_are_gone_also_after_an_exception(problem: type[BaseException]) -> None:
    """The tables of hooks are as before, with those of the user in them."""
    model = Net()
    model.first.register_forward_hook(lambda module, args, output: None)
    model.second.register_full_backward_hook(lambda module, grad_input, grad_output: None)
    before = hooks_of(model)

    def fail(call: Call) -> None:
        raise problem

    with pytest.raises(problem), listen(model, on_call=fail):
        model(torch.randn(2, 3))
    assert before == hooks_of(model)


def test_hooks_on_tensors_are_gone_too() -> None:
    """A module that hands on a tensor of the user's, or a parameter, keeps no hook on it."""

    class Prompt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Parameter(torch.ones(2, 3))

        def forward(self, x: Tensor) -> Tensor:
            return self.tokens

    model, x, heard = nn.Sequential(nn.Identity(), Prompt()), torch.randn(2, 3, requires_grad=True), []
    with listen(model, on_call=lambda call: None, on_gradient=lambda call, gradient: heard.append(call.name)):
        model(x).sum().backward()
    assert heard == ["1", ""]
    (model[0](x).sum() + model(x).sum()).backward()
    assert heard == ["1", ""]
    assert not x._backward_hooks
    assert not model[1].tokens._backward_hooks


def test_the_users_own_hooks_come_first() -> None:
    """What a user's hook makes of an output is what is heard."""
    model = nn.Sequential(nn.Linear(3, 3))
    model[0].register_forward_hook(lambda module, args, output: 0 * output)
    with listen(model, ["0"]) as calls:
        model(torch.randn(2, 3))
    assert not calls[0].output.any()


WAYS = {
    "module": nn.ReLU(),
    "module in place": nn.ReLU(inplace=True),
    "function": F.relu,
    "function by name": lambda x: F.relu(input=x),
    "function in place": F.relu_,
    "torch": torch.relu,
    "method": lambda x: x.relu(),
    "method in place": lambda x: x.relu_(),
    "clipped": nn.ReLU6(),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_activation_is_heard_once_with_what_went_in(way: str) -> None:
    """Whatever way it is called, the name and the input come, before the input is overwritten."""
    x, heard = torch.tensor([-1.0, 2.0]), []
    with Ear(activation_hearers(lambda name, inputs: heard.append((name, inputs.tolist())))):
        WAYS[way](x)
    WAYS[way](x)
    assert heard == [("relu", [-1.0, 2.0])]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (nn.Tanh(), "tanh"), (nn.Sigmoid(), "sigmoid"), (nn.GELU(), "gelu"), (nn.SiLU(), "silu"), (nn.ELU(), "elu"),
        (nn.SELU(), "selu"), (nn.LeakyReLU(), "leaky_relu"), (nn.Hardtanh(), "hardtanh"),
        (nn.ReLU6(inplace=True), "relu"), (nn.Hardtanh(0, 1), "relu"), (nn.Hardtanh(-2, 2), None),
    ],
)  # fmt: skip
def test_every_activation_has_its_name(module: nn.Module, name: str | None) -> None:
    """The modules of torch are heard by the names of `fathometer.activations`; a linear layer is not."""
    heard = []
    with Ear(activation_hearers(lambda name, inputs: heard.append(name))):
        module(nn.Linear(2, 2)(torch.zeros(1, 2)))
    assert heard == ([] if name is None else [name])


def test_what_listeners_compute_is_not_heard() -> None:
    """A tap that calls an activation itself does not fool the ear."""
    model, heard = nn.Sequential(nn.Linear(3, 3), nn.Tanh()), []
    ear = Ear(activation_hearers(lambda name, inputs: heard.append(name)))
    with listen(model, on_call=lambda call: call.output.relu(), on_enter=lambda name, inputs: torch.ones(1).relu()), ear:
        model(torch.randn(2, 3))
    assert heard == ["tanh"]


def test_inside_of_many_headed_attention_is_heard() -> None:
    """What nn.MultiheadAttention calls is heard once each, its answer is the same, and the ear is off after it."""
    torch.manual_seed(0)
    model, x = nn.MultiheadAttention(4, 2, batch_first=True), torch.randn(2, 3, 4)
    expected, heard = model(x, x, x), []

    def hearer(name: str) -> Hearer:
        return lambda args, kwargs: heard.append(name)

    functions = {
        F.multi_head_attention_forward: "whole",
        F.softmax: "softmax",
        F.scaled_dot_product_attention: "fused",
        F.linear: "linear",
    }
    with Ear({function: hearer(name) for function, name in functions.items()}):
        told = model(x, x, x)
        model(x, x, x, need_weights=False)
    model(x, x, x)

    assert torch.equal(expected[0], told[0])
    assert torch.equal(expected[1], told[1])
    assert heard == ["whole", "linear", "softmax", "linear", "whole", "linear", "fused", "linear"]


def test_a_module_is_told_by_its_forward_as_by_hooks() -> None:
    """With a hook of its own (then by hooks) or without (then by `forward`) the same is told in the same order; both let go."""
    told: dict[bool, list[tuple[str, Tensor | None]]] = {}
    for has_hook in (True, False):
        model, x = Net(), torch.ones(2, 3)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(0.1)
        if has_hook:
            for module in model.children():
                module.register_forward_hook(lambda module, args, output: None)
        before, heard = hooks_of(model), list[tuple[str, Tensor | None]]()
        on_enter = {"second": partial(heard.append, ("second begins", None))}
        on_leave = {name: partial(_note, heard, name) for name in ("first", "second")}
        with around_modules(model, on_enter, on_leave):
            assert ("forward" in vars(model.second)) is not has_hook
            model(x)
            model.second(torch.ones(2, 4))
        model(x)
        told[has_hook] = heard
        assert hooks_of(model) == before
        assert not any("forward" in vars(module) for module in model.modules())

    assert [name for name, _ in told[True]] == ["first", *["second begins", "second"] * 3]
    for (name, output), (other, by_forward) in zip(told[True], told[False], strict=True):
        assert name == other
        assert output is by_forward is None or torch.equal(output, by_forward)


def _note(heard: list[tuple[str, Tensor | None]], name: str, output: Tensor) -> None:
    heard.append((name, output))


def test_a_copy_of_a_model_that_is_told_of_tells_nothing() -> None:
    """Copied in the middle of it, as an average of weights is, the copy runs on its own weights and keeps none of it."""
    model, heard = Net(), list[tuple[str, Tensor | None]]()
    with around_modules(model, {}, {"first": partial(_note, heard, "first")}):
        copied = copy.deepcopy(model)
    with torch.no_grad():
        copied.first.weight.zero_()
        copied.first.bias.fill_(2.0)

    assert torch.equal(copied.first(torch.ones(1, 3)), torch.full((1, 4), 2.0))
    assert heard == []
    assert not torch.equal(model.first(torch.ones(1, 3)), torch.full((1, 4), 2.0))
