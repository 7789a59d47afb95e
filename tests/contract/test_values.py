"""Tensors are found in anything, and put back into the same thing."""

from collections import OrderedDict, UserDict, defaultdict, namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from fathometer.contract import loss_in, main_tensor, map_tensors, tensors_in

A, B, C = torch.zeros(2), torch.ones(3), torch.tensor([1, 2])
Pair = namedtuple("Pair", "left right")


@dataclass(frozen=True)
class Frozen:
    """A dataclass that cannot be written to."""

    hidden: Tensor
    step: int = 0


@dataclass
class Output:
    """What models of another library return."""

    loss: Tensor | None = None
    logits: Tensor | None = None


VALUES = {
    "tensor": (A, [""]),
    "tuple": ((A, 3, B), ["0", "2"]),
    "list in dict": ({"x": [A, {"y": B}]}, ["x.0", "x.1.y"]),
    "namedtuple": (Pair(A, B), ["left", "right"]),
    "ordered": (OrderedDict(x=A), ["x"]),
    "default dict": (defaultdict(list, x=A), ["x"]),
    "user dict": (UserDict(x=A), ["x"]),
    "frozen dataclass": (Frozen(A), ["hidden"]),
    "dataclass": (Output(logits=B), ["logits"]),
    "nothing": ({"a": None, "b": "text", "c": 1.5}, []),
}


@pytest.mark.parametrize("name", VALUES)
def test_every_tensor_is_found_with_its_path(name: str) -> None:
    """Paths are keys, positions and field names, joined by dots."""
    value, paths = VALUES[name]
    assert paths == [path for path, _ in tensors_in(value)]


@pytest.mark.parametrize("name", VALUES)
def test_mapping_keeps_the_structure(name: str) -> None:
    """Each tensor is replaced, all else stays, and the original is as it was."""
    value, paths = VALUES[name]
    twin = map_tensors(value, lambda tensor: tensor + 1)

    assert isinstance(twin, dict if name == "default dict" else type(value))
    assert [path for path, _ in tensors_in(twin)] == paths
    for (_, before), (_, after) in zip(tensors_in(value), tensors_in(twin), strict=True):
        assert torch.equal(before + 1, after)
    assert not A.any()


def test_a_class_is_no_dataclass() -> None:
    """A dataclass itself, not an instance of it, holds nothing."""
    assert list(tensors_in(Frozen)) == []
    assert map_tensors(Frozen, torch.clone) is Frozen


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (A, A),
        (C, None),
        ((C, B), B),
        ({"first": A, "logits": B}, B),
        ({"logits": C, "scores": B}, B),
        ({"loss": A, "scores": B}, B),
        (Output(torch.tensor(1.0), B), B),
        ((torch.tensor(1.0), B), B),
        ((torch.tensor(1.0), C), "first"),
        ({"nested": {"deep": [C, B]}}, B),
        ((3, "text"), None),
        (None, None),
    ],
    ids=range(12),
)
def test_the_main_tensor_carries_the_signal(value: object, expected: object) -> None:
    """It is the logits by name, else the first of floating point that is more than one number and no loss."""
    assert main_tensor(value) is (value[0] if isinstance(expected, str) else expected)


def test_the_loss_is_a_single_number_by_that_name() -> None:
    """A `.loss` of one number is a scalar; without one, or with many numbers, there is none."""
    assert loss_in({"loss": torch.ones(1)}).shape == ()
    assert loss_in(Output(torch.tensor(2.0))) == 2
    assert loss_in(Output()) is None
    assert loss_in({"loss": B}) is None
    assert loss_in(torch.tensor(1.0)) is None
    assert loss_in((torch.tensor(1.0), B)) is None
