"""One batch through any module."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from fathometer.errors import BatchError
from fathometer.training.batch import answer, device_of, move


@dataclass
class Output:
    """What a model of another library returns."""

    logits: Tensor
    loss: Tensor | None = None


class Chatty(nn.Module):
    """A linear layer that answers in the way it is told to."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.linear = kind, nn.Linear(3, 2)

    def forward(self, x: Tensor, shift: Tensor | None = None) -> object:
        logits = self.linear(x if shift is None else x + shift)
        return {
            "tensor": logits,
            "tuple": (logits, None),
            "dict": {"loss": logits.sum(), "logits": logits},
            "dataclass": Output(logits, logits.mean()),
        }[self.kind]


X, SHIFT, CLASSES = torch.ones(4, 3), torch.full((4, 3), 2.0), torch.tensor([0, 1, 0, 1])


@pytest.mark.parametrize("kind", ["tensor", "tuple", "dict", "dataclass"])
@pytest.mark.parametrize("inputs", [(X, SHIFT), {"x": X, "shift": SHIFT}, X + SHIFT], ids=["tuple", "dict", "tensor"])
def test_the_loss_is_the_same_however_data_go_in_and_out(kind: str, inputs: object) -> None:
    """Tensors, tuples, dictionaries and dataclasses are all called and read rightly."""
    model = Chatty(kind)
    _, loss = answer(model, (inputs, CLASSES))

    assert torch.equal(nn.functional.cross_entropy(model.linear(X + SHIFT), CLASSES), loss)


def test_a_loss_of_the_users_own_gets_the_raw_output() -> None:
    """`loss_fn` is called with what the model returned, and the targets."""
    model = Chatty("dataclass")
    output, loss = answer(model, (X, CLASSES), lambda out, targets: out.logits.sum() * targets.sum())

    assert torch.equal(2 * output.logits.sum(), loss)


def test_inputs_alone_need_a_loss_in_the_output() -> None:
    """Without targets, the output's own loss is taken; without that either, the error says what to do."""
    output, loss = answer(Chatty("dataclass"), X)
    assert torch.equal(output.loss, loss)
    with pytest.raises(BatchError, match=r"Yield \(inputs, targets\)"):
        answer(Chatty("tensor"), X)


def test_labels_among_the_inputs_are_targets() -> None:
    """A dictionary may bring its targets under the name `labels`, as loaders of language models do."""

    class Labelled(nn.Module):
        def forward(self, x: Tensor, labels: Tensor) -> Tensor:
            return torch.stack([x.sum(1), -x.sum(1)], 1)

    batch = {"x": X, "labels": CLASSES}
    output, loss = answer(Labelled(), batch)

    assert torch.equal(nn.functional.cross_entropy(output, CLASSES), loss)
    assert answer(Labelled(), batch, lambda out, targets: targets.sum())[1] == 2


def test_a_batch_follows_the_model_to_its_device() -> None:
    """Tensors inside anything are moved to where the parameters are."""
    model = Chatty("tensor").to("meta")
    moved = move(({"x": X}, CLASSES), device_of(model))

    assert moved[0]["x"].device.type == "meta"
    assert moved[1].device.type == "meta"
    assert device_of(nn.Identity()).type == "cpu"
