"""What the loss is when none is given, against torch's own."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fathometer.contract import class_rows, default_loss, output_tensor
from fathometer.errors import BatchError, ModelError


def scores(*shape: int) -> Tensor:
    """Return Gaussian scores."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("values", "targets", "expected"),
    [
        (scores(4, 3), torch.tensor([0, 1, 2, 1]), None),
        (scores(2, 5, 3), torch.ones(2, 5, dtype=torch.int64), "classes last"),
        (scores(2, 3, 4, 4), torch.ones(2, 4, 4, dtype=torch.int64), None),
        (scores(4, 3), torch.tensor([0, 1, 2, 1], dtype=torch.uint8), "long"),
        (scores(4, 3), torch.tensor([0, 1, 2, 1], dtype=torch.int32), "long"),
        (scores(4, 3), torch.tensor([0, 1, -100, 1]), None),
    ],
    ids=["rows", "time", "image", "bytes", "short", "ignored"],
)
def test_integers_are_classes(values: Tensor, targets: Tensor, expected: str | None) -> None:
    """The loss is torch's cross-entropy, wherever the classes stand."""
    torch_values = values.movedim(-1, 1) if expected == "classes last" else values
    torch_loss = F.cross_entropy(torch_values, targets.long())

    assert default_loss(values, targets) == pytest.approx(float(torch_loss), rel=1e-6)  # the same sum in another order


def test_where_both_fit_the_classes_are_last() -> None:
    """With as many classes as time steps the last axis is the classes."""
    values, targets = scores(2, 3, 3), torch.zeros(2, 3, dtype=torch.int64)
    assert torch.equal(values.reshape(6, 3), class_rows(values, targets))


def test_floats_are_values() -> None:
    """The loss is the mean squared error, in the type of the outputs."""
    values, targets = scores(4, 3).bfloat16(), scores(4, 3).double()
    assert torch.equal(F.mse_loss(values, targets.bfloat16()), default_loss({"output": values}, targets))


@pytest.mark.parametrize(
    ("values", "targets", "text"),
    [
        (scores(4, 3), torch.zeros(4, 1, dtype=torch.int64), r"Integer targets of shape \(4, 1\) do not fit"),
        (scores(4, 3), torch.zeros(5, dtype=torch.int64), r"shape \(5,\)"),
        (scores(4), torch.zeros(4, dtype=torch.int64), "Cross-entropy needs one class"),
        (scores(4, 3), torch.tensor([0, 1, 2, 3]), "from 0 to 3.*3 outputs the classes are 0 to 2"),
        (scores(4, 3), torch.tensor([0, 1, -1, 2]), "from -1 to 2"),
        (scores(4, 1), torch.zeros(4), r"Float targets of shape \(4,\)"),
        (scores(4, 1), torch.zeros(4, 1, dtype=torch.bool), "booleans"),
        (scores(4, 1), [0, 1], "The targets are a list"),
    ],
    ids=range(8),
)
def test_what_does_not_fit_is_said(values: Tensor, targets: object, text: str) -> None:
    """The error names shapes or classes, and the mend."""
    with pytest.raises(BatchError, match=text):
        default_loss(values, targets)


def test_an_output_without_scores_is_an_error() -> None:
    """Integers, and things that are no tensor, carry no gradient."""
    with pytest.raises(ModelError, match="int64 only"):
        output_tensor((torch.ones(3, dtype=torch.int64), 3))
    with pytest.raises(ModelError, match="no tensor but a str"):
        output_tensor("text")
    assert output_tensor({"x": scores(1)}) == scores(1)
