"""The twin without numbers is the module in everything but numbers."""

import pytest
import torch
from torch import nn

from fathometer.errors import ModelError
from fathometer.instruments.on_meta import on_meta


def test_the_twin_has_shapes_and_no_numbers() -> None:
    """Names, shapes, dtypes and what is frozen are the same; device and objects are not."""
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.LSTM(4, 5)).to(torch.bfloat16)
    model[0].weight.requires_grad_(False)
    twin = on_meta(model)
    facts = [{name: (value.shape, value.dtype) for name, value in module.state_dict().items()} for module in (model, twin)]

    assert facts[0] == facts[1]
    assert all(tensor.device.type == "meta" for tensor in (*twin.parameters(), *twin.buffers()))
    assert [p.requires_grad for p in twin.parameters()] == [p.requires_grad for p in model.parameters()]
    assert all(tensor.device.type == "cpu" for tensor in (*model.parameters(), *model.buffers()))


def test_what_is_tied_stays_tied() -> None:
    """One parameter under two names is one in the twin."""
    model = nn.ModuleDict({"words": nn.Embedding(5, 3), "readout": nn.Linear(3, 5, bias=False)})
    model["readout"].weight = model["words"].weight
    twin = on_meta(model)

    assert twin["readout"].weight is twin["words"].weight


def test_plain_tensors_are_moved_too() -> None:
    """A tensor that is an attribute and no buffer would stay behind."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factors = [torch.ones(3)]

    assert on_meta(Scaled()).factors[0].device.type == "meta"


def test_what_cannot_be_copied_is_an_error() -> None:
    """A lazy layer has no sizes, and an open file cannot be copied."""
    model = nn.Linear(2, 2)
    model.file = open(__file__)  # noqa: SIM115  what is tested is a module that holds one
    try:
        with pytest.raises(ModelError, match="cannot be copied"):
            on_meta(model)
    finally:
        model.file.close()
    with pytest.raises(ModelError, match="lazy"):
        on_meta(nn.LazyLinear(3))
