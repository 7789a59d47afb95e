"""What a batch is, and what its loss is."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from fathometer.contract import batch_size, known_targets, loss_of, split_batch, take_samples
from fathometer.errors import BatchError

X, Y = torch.arange(12.0).reshape(4, 3), torch.tensor([0, 1, 0, 1])


class Fields(NamedTuple):
    """Inputs with names."""

    x: Tensor
    mask: Tensor


@pytest.mark.parametrize(
    ("batch", "expected"),
    [((X, Y), (X, Y)), ([X, Y], (X, Y)), (X, (X, None)), ({"x": X}, ({"x": X}, None)), ((X, Y, Y), ((X, Y, Y), None)),
     (((X, X), None), ((X, X), None)), (({"x": X}, Y), ({"x": X}, Y)), (Fields(X, Y), (Fields(X, Y), None))],
    ids=range(8),
)  # fmt: skip
def test_a_pair_is_inputs_and_targets(batch: object, expected: object) -> None:
    """Two things in a tuple or list are a pair; anything else is inputs alone."""
    assert repr(expected) == repr(split_batch(batch))


@pytest.mark.parametrize("batch", [None, 3, "text", (), {"a": 1}, ([1, 2], X)], ids=repr)
def test_a_batch_without_a_tensor_is_an_error(batch: object) -> None:
    """The error says what was given and what to pass."""
    with pytest.raises(BatchError, match=r"no batch|no tensor.*Pass \(inputs, targets\)"):
        split_batch(batch)


def test_the_batch_is_the_first_axis_there_is() -> None:
    """Single numbers among the inputs, as a temperature, do not count."""
    assert batch_size(X) == 4
    assert batch_size({"temperature": torch.tensor(1.0), "x": X}) == 4
    assert batch_size(torch.tensor(1.0)) == 1
    assert batch_size(3) == 1


def test_samples_are_taken_of_everything_that_has_them() -> None:
    """Every tensor with the batch first is indexed; others stay."""
    other = torch.ones(7)
    (inputs, extra), targets = take_samples(((X, other), Y), [0, 2])

    assert torch.equal(X[[0, 2]], inputs)
    assert torch.equal(Y[[0, 2]], targets)
    assert extra is other
    assert torch.equal(X[1:3], take_samples({"x": X}, slice(1, 3))["x"])


def test_labels_among_the_inputs_are_targets() -> None:
    """As models of Hugging Face take them; given targets come first."""
    assert known_targets({"input_ids": X, "labels": Y}, None) is Y
    assert known_targets({"labels": X}, Y) is Y
    assert known_targets(X, None) is None


def test_the_loss_is_the_functions_the_default_or_the_models_own() -> None:
    """In this order: `loss_fn`, the targets, `.loss` of the output, none."""
    output = {"loss": torch.tensor(9.0), "logits": X[:, :2]}

    assert loss_of(output, Y, lambda given, targets: given["logits"].sum().reshape(1, 1)) == X[:, :2].sum()
    assert loss_of(output, Y) == nn.functional.cross_entropy(X[:, :2], Y)
    assert loss_of(output, None) == 9
    assert loss_of(X, None) is None


@pytest.mark.parametrize(
    ("loss_fn", "text"),
    [(lambda output, targets: output, r"tensor of shape \(4, 3\)"), (lambda output, targets: 3.0, "returned a float"),
     (lambda output: output, "raised TypeError"), (lambda output, targets: 1 / 0, "raised ZeroDivisionError")],
    ids=range(4),
)  # fmt: skip
def test_a_loss_function_that_fails_is_named(loss_fn: object, text: str) -> None:
    """What it raised or returned is in the error."""
    with pytest.raises(BatchError, match=text):
        loss_of(X, Y, loss_fn)


def test_our_own_errors_pass_through() -> None:
    """An error that already says how to mend it is not wrapped."""

    def loss_fn(output: object, targets: object) -> Tensor:
        raise BatchError("This", "That", "Do so")

    with pytest.raises(BatchError, match=r"^This\. That\. Do so\.$"):
        loss_of(X, Y, loss_fn)
