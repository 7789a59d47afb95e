"""The first operation that is not finite is named, with its module and its line; what is meant is not."""

from collections.abc import Callable
from math import inf, nan

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.instruments import NonFinite, first_non_finite, listen

Maker = Callable[[Tensor], Tensor]
EARLIER = torch.ones(3, 4, dtype=torch.bool).tril()


class Part(nn.Module):
    """A module whose forward pass is one function."""

    def __init__(self, function: Maker) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def found(function: Maker, dtype: torch.dtype = torch.float32, scale: float = 1.0, size: float = 1.0) -> NonFinite | None:
    """Return what is found in Linear → function → Linear."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), Part(function), nn.Linear(4, 2)).to(dtype)
    x = (size * torch.randn(3, 4)).to(dtype)
    return first_non_finite(model, lambda: model(x), lambda output: output.float().mean(), scale=scale)


# name: (function, operation, what it makes)
FORWARD: dict[str, tuple[Maker, str, str]] = {
    "exponential overflows": (lambda x: (1000 * x).exp().relu(), "exp", "infinity"),
    "overflow becomes NaN later": (lambda x: (1000 * x).exp() - (1000 * x).exp(), "exp", "infinity"),
    "logarithm of 0": (lambda x: (0 * x).log(), "log", "infinity"),
    "p log p at 0": (lambda x: (0 * x) * (0 * x).log(), "log", "infinity"),
    "0 over 0": (lambda x: (0 * x) / (0 * x), "div", "NaN"),
    "root of a negative number": (lambda x: torch.sqrt(-1 - x**2), "sqrt", "NaN"),
    "method in place": (lambda x: (-1 - x**2).sqrt_(), "sqrt", "NaN"),
    "rows that see nothing": (lambda x: F.softmax(x.masked_fill(torch.ones(3, 4).bool(), -inf), -1), "softmax", "NaN"),
    "one row that sees nothing": (lambda x: x.masked_fill(torch.arange(3)[:, None] == 1, -inf).softmax(-1), "softmax", "NaN"),
    "mask by product": (lambda x: (x + torch.ones(3, 4).triu(1) * -inf).softmax(-1), "mul", "NaN"),
    "over its own length": (lambda x: (0 * x) / torch.linalg.vector_norm(0 * x), "div", "NaN"),
    "layer norm of what overflowed": (lambda x: F.layer_norm(x * 1e30 * 1e30, (4,)), "mul", "infinity"),
    "through a view": (lambda x: (1000 * x).exp().view(4, 3).T.reshape(3, 4).softmax(-1), "exp", "infinity"),
    "written into": (lambda x: torch.zeros(3, 4).index_copy(0, torch.tensor([1]), (0 * x[:1]).log()), "log", "infinity"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORWARD)
def test_the_operation_is_named(name: str) -> None:
    """Of functions inside a module, the first whose result is not finite is named, with what it made and where it ran."""
    function, operation, value = FORWARD[name]
    told = found(function)

    assert told is not None
    assert (told.operation, told.value, told.in_backward, told.module) == (operation, value, False, "1")
    assert told.file == __file__
    assert told.line == function.__code__.co_firstlineno
    assert told.text is not None
    assert name in told.text


BACKWARD: dict[str, tuple[Maker, str, str]] = {
    "root at 0": (lambda x: (0 * x).sqrt(), "sqrt", "infinity"),
    "length of zero by hand": (lambda x: x + (0 * x).square().sum(-1, keepdim=True).sqrt(), "sqrt", "NaN"),
    "power at 0": (lambda x: (0 * x) ** 0.5, "pow", "infinity"),
    "arc cosine at 1": (lambda x: torch.acos(1 + 0 * x), "acos", "infinity"),
    "NaN behind where": (lambda x: torch.where(x > 100, (0 * x).sqrt(), x), "sqrt", "NaN"),
}


@pytest.mark.parametrize("name", BACKWARD)
def test_a_derivative_is_named_by_its_operation(name: str) -> None:
    """Where only the way back is not finite, the operation of the way there is named, with its module and line."""
    function, operation, _ = BACKWARD[name]
    told = found(function)

    assert told is not None
    assert (told.operation, told.in_backward, told.module) == (operation, True, "1")
    assert (told.file, told.line) == (__file__, function.__code__.co_firstlineno)


FINE: dict[str, Maker] = {
    "nothing special": lambda x: x.tanh(),
    "filled mask": lambda x: x.masked_fill(~EARLIER, -inf).softmax(-1),
    "filled in place": lambda x: (1 * x).masked_fill_(~EARLIER, -inf).softmax(-1),
    "added mask": lambda x: (x + torch.full((3, 4), -inf).triu(1)).softmax(-1),
    "mask by where": lambda x: torch.where(EARLIER, x, -inf).softmax(-1),
    "mask of a constant": lambda x: torch.where(EARLIER, x, torch.tensor(-inf)).softmax(-1),
    "largest of some": lambda x: x.masked_fill(~EARLIER, -inf).amax(-1, keepdim=True).expand(3, 4),
    "smallest of some": lambda x: torch.full((3, 4), inf).minimum(x),
    "infinity that is clipped": lambda x: (1000 * x.detach()).exp().clamp(max=1) * x,
    "logarithm that is not taken": lambda x: torch.where(x.detach() > 100, (0 * x.detach()).log(), x),
    "length of zero by torch": lambda x: x + torch.linalg.vector_norm(0 * x),
    "attention with a mask": lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None], is_causal=True)[0],
}


@pytest.mark.parametrize("name", FINE)
def test_what_is_meant_or_does_not_reach_the_end_is_not_named(name: str) -> None:
    """Infinities of masks, and what is thrown away, are no fault."""
    assert found(FINE[name]) is None


def test_masked_scores_may_be_the_output() -> None:
    """A network that gives -inf to forbidden classes has a finite loss, and is fine; with a NaN among them it is not."""
    model = nn.Sequential(nn.Linear(4, 4), Part(lambda x: x.masked_fill(~EARLIER, -inf)))
    broken = nn.Sequential(nn.Linear(4, 4), Part(lambda x: (x * nan).masked_fill(~EARLIER, -inf)))
    x, targets = torch.randn(3, 4), torch.zeros(3, dtype=torch.long)

    assert first_non_finite(model, lambda: model(x), lambda output: F.cross_entropy(output, targets)) is None
    told = first_non_finite(broken, lambda: broken(x), lambda output: F.cross_entropy(output, targets))
    assert told is not None
    assert told.operation == "mul"


def test_sixteen_bits_overflow() -> None:
    """float16 overflows beyond 65,504: at the product, at the scores of an attention, at a cast, and on the way back."""
    doubled = found(lambda x: 300 * (300 * x), torch.float16)
    scores = found(lambda x: ((2000 * x) @ (2000 * x).T).softmax(-1) @ x, torch.float16)
    cast = found(lambda x: (1e6 * x).half().float())
    back = found(lambda x: 1e-4 * (1e-4 * x), torch.float16, scale=2.0**127)

    assert [told and (told.operation, told.value, told.in_backward) for told in (doubled, scores, cast)] == [
        ("mul", "infinity", False),
        ("matmul", "infinity", False),
        ("to", "infinity", False),
    ]
    assert back is not None
    assert back.in_backward


def test_modules_and_losses_are_places() -> None:
    """Operations of torch's own modules have the module's name and no line of ours; those of a loss have no module."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.Softmax(-1)))
    x = torch.ones(3, 4)
    with torch.no_grad():
        model[0].weight.fill_(1)
        model[1][0].weight.fill_(3e38)
    inner = first_non_finite(model, lambda: model(x), lambda output: output.mean())
    with torch.no_grad():
        model[1][0].weight.fill_(0)

    def loss_of(output: Tensor) -> Tensor:
        return (output - output).log().mean()

    outer = first_non_finite(model, lambda: model(x), loss_of)

    assert inner is not None
    assert (inner.operation, inner.module) == ("linear", "1.0")
    assert outer is not None
    assert (outer.operation, outer.module, outer.text) == ("log", None, "return (output - output).log().mean()")


@pytest.mark.parametrize("number", [nan, inf])
def test_what_was_never_finite_is_given(number: float) -> None:
    """A parameter or a constant that is not finite from the start is named instead of an operation."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
    x, spoilt = torch.randn(3, 4), torch.full((3, 4), number)
    by_constant = first_non_finite(model, lambda: model(spoilt * 1), lambda output: output.mean())
    with torch.no_grad():
        model[2].bias.fill_(number)
    by_weight = first_non_finite(model, lambda: model(x), lambda output: output.mean())

    assert by_weight is not None
    assert (by_weight.operation, by_weight.given) == (None, "2.bias")
    if number != number:  # an infinite constant may be meant
        assert by_constant is not None
        assert (by_constant.operation, by_constant.given) == (None, "a constant")


def test_inputs_that_are_nan_are_given() -> None:
    """A batch with a NaN is named as that; one with -inf only is a mask until it becomes NaN."""
    model = nn.Sequential(nn.Softmax(-1), nn.Linear(4, 1))
    x, some, whole = torch.randn(3, 4), torch.randn(3, 4), torch.full((3, 4), -inf)
    x[0, 0], some[0, 0] = nan, -inf
    told = [first_non_finite(model, lambda given=given: model(given), lambda output: output.mean()) for given in (x, some, whole)]

    assert [one and (one.given, one.operation) for one in told] == [("the inputs", None), None, (None, "softmax")]


def test_a_functional_nan_is_not_the_next_modules() -> None:
    """A NaN made between two modules belongs to the one around them."""

    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.sqrt(-1 - self.first(x) ** 2)
            return self.second(x)

    model = nn.Sequential(Around())
    told = first_non_finite(model, lambda: model(torch.randn(3, 4)), lambda output: output.mean())

    assert told is not None
    assert (told.operation, told.module, told.text) == ("sqrt", "0", "x = torch.sqrt(-1 - self.first(x) ** 2)")


def test_nothing_stays_behind() -> None:
    """Hooks are gone, gradients are not touched, and the model computes as before."""
    model, x = nn.Sequential(nn.Linear(4, 4), Part(lambda x: (0 * x).sqrt())), torch.randn(3, 4)
    before = model(x)
    first_non_finite(model, lambda: model(x), lambda output: output.mean())

    assert torch.equal(before, model(x))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    with listen(model) as calls:
        model(x)
    assert len(calls) == 3


def test_a_network_without_gradients_is_followed_forward_only() -> None:
    """Where nothing is trained there is no way back; the way there is followed all the same."""
    model = nn.Sequential(nn.Linear(4, 4), Part(lambda x: (0 * x).sqrt())).requires_grad_(False)
    assert first_non_finite(model, lambda: model(torch.randn(3, 4)), lambda output: output.mean()) is None
    model[1].function = lambda x: (0 * x).log()
    told = first_non_finite(model, lambda: model(torch.randn(3, 4)), lambda output: output.mean())
    assert told is not None
    assert told.operation == "log"
