"""Any module is called with what it takes."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from fathometer.contract import arguments_for, call

X, Y = torch.ones(2, 3), torch.zeros(2, 3)


@dataclass
class Inputs:
    """Inputs in a dataclass."""

    x: Tensor


class One(nn.Module):
    def forward(self, x: object) -> object:
        return ("one", x)


class Two(nn.Module):
    def forward(self, x: object, y: object = None) -> object:
        return ("two", x, y)


class Named(nn.Module):
    def forward(self, *, x: object, y: object) -> object:
        return ("named", x, y)


class Any(nn.Module):
    def forward(self, *parts: object, **named: object) -> object:
        return ("any", parts, named)


@pytest.mark.parametrize(
    ("model", "inputs", "expected"),
    [
        (One(), X, ("one", X)),
        (One(), (X, Y), ("one", (X, Y))),
        (One(), {"z": X}, ("one", {"z": X})),
        (One(), {"x": X}, ("one", X)),
        (One(), Inputs(X), ("one", Inputs(X))),
        (One(), {}, ("one", {})),
        (One(), {0: X}, ("one", {0: X})),
        (Two(), (X, Y), ("two", X, Y)),
        (Two(), [X, Y], ("two", X, Y)),
        (Two(), (X,), ("two", X, None)),
        (Two(), {"y": Y, "x": X}, ("two", X, Y)),
        (Two(), {"x": X, "other": Y}, ("two", {"x": X, "other": Y}, None)),
        (Two(), (X, Y, Y), ("two", (X, Y, Y), None)),
        (Named(), {"x": X, "y": Y}, ("named", X, Y)),
        (Any(), (X, Y), ("any", (X, Y), {})),
        (Any(), {"q": X}, ("any", (), {"q": X})),
    ],
    ids=range(16),
)
def test_inputs_are_passed_as_forward_takes_them(model: nn.Module, inputs: object, expected: object) -> None:
    """A dictionary goes by name and a tuple by position where `forward` knows them; all else goes whole."""
    got = call(model, inputs)
    assert repr(expected) == repr(got)


def test_a_named_tuple_is_one_input() -> None:
    """A packed sequence has fields of its own and is not taken apart."""
    packed = nn.utils.rnn.pack_sequence([torch.ones(3, 2), torch.ones(2, 2)])
    args, kwargs = arguments_for(nn.LSTM(2, 2), packed)

    assert args[0] is packed
    assert kwargs == {}


def test_torchs_own_containers_are_called() -> None:
    """A Sequential takes one tensor."""
    model = nn.Sequential(nn.Linear(3, 2))
    assert torch.equal(model(X), call(model, X))
