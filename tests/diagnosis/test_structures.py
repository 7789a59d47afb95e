"""Modules of every shape: what goes in, what comes out, and what is inside."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.diagnosis import preflight
from fathometer.errors import BatchError
from fathometer.finding import Verdict

Pair = tuple[Tensor, Tensor]
Plain = Callable[..., nn.Sequential]


@dataclass
class Pictures:
    pixels: Tensor
    mask: Tensor | None = None


@dataclass
class Answer:
    logits: Tensor
    hidden: Tensor


class Named(NamedTuple):
    logits: Tensor
    hidden: Tensor


class LikeHuggingFace(dict[str, Any]):
    """A dictionary whose keys are attributes."""

    __getattr__ = dict.__getitem__


class Takes(nn.Module):
    """The plain network behind any way to take inputs and to answer."""

    def __init__(self, net: nn.Sequential) -> None:
        super().__init__()
        self.net = net


class TakesDictionary(Takes):
    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"hidden": batch["x"], "logits": self.net(batch["x"] * batch["mask"])}


class TakesNames(Takes):
    def forward(self, x: Tensor, mask: Tensor) -> Answer:
        return Answer(self.net(x * mask), x)


class TakesTwo(Takes):
    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return self.net(x * mask), x


class TakesPair(Takes):
    def forward(self, both: Pair) -> Named:
        return Named(self.net(both[0] * both[1]), both[0])


class TakesDataclass(Takes):
    def forward(self, pictures: Pictures) -> Answer:
        return Answer(self.net(pictures.pixels), pictures.pixels)


class TakesLabels(Takes):
    def forward(self, x: Tensor, labels: Tensor | None = None) -> LikeHuggingFace:
        logits = self.net(x)
        return LikeHuggingFace(loss=None if labels is None else F.cross_entropy(logits, labels), logits=logits)


def shapes(x: Tensor, y: Tensor, net: nn.Sequential) -> dict[str, tuple[nn.Module, Any]]:
    """Return a module and its batch for every way to call one."""
    mask = torch.ones_like(x)
    return {
        "a dictionary, whole": (TakesDictionary(net), ({"x": x, "mask": mask}, y)),
        "a dictionary, by name": (TakesNames(net), ({"x": x, "mask": mask}, y)),
        "a tuple, by position": (TakesTwo(net), ((x, mask), y)),
        "a tuple, whole": (TakesPair(net), ((x, mask), y)),
        "a dataclass": (TakesDataclass(net), (Pictures(x), y)),
        "labels among the inputs": (TakesLabels(net), {"x": x, "labels": y}),
    }


SHAPES = tuple(shapes(torch.zeros(1), torch.zeros(1), nn.Sequential()))


@pytest.mark.parametrize("name", SHAPES)
def test_any_way_to_call_gives_the_same_numbers(name: str, plain: Plain, batch: Pair) -> None:
    """The same network behind dictionaries, tuples and dataclasses has the profile of the bare one."""
    model, given = shapes(*batch, plain(6))[name]

    check, bare = preflight(model, given), preflight(plain(6), batch)

    assert check.verdict == bare.verdict
    for column in ("signal", "correlation", "gradient"):
        assert check.profile.column(column) == pytest.approx(bare.profile.column(column), rel=1e-5)  # float32 in another order
    assert check.profile.facts["loss"] == pytest.approx(bare.profile.facts["loss"], rel=1e-6)  # the same
    assert not any("No targets" in note for note in check.notes)


def test_inputs_alone_have_no_loss(plain: Plain, batch: Pair) -> None:
    """Without targets the gradient starts anywhere: no loss is told, and a note says so."""
    check = preflight(plain(), batch[0])

    assert check.profile.facts["loss"] is None
    assert any("No targets were given" in note for note in check.notes)


def test_a_loss_function_takes_labels_from_a_dictionary(plain: Plain, batch: Pair) -> None:
    """Targets among the inputs serve a loss function as well."""
    x, y = batch
    given = {"x": x, "labels": y}

    check = preflight(TakesLabels(plain()), given, loss_fn=lambda output, labels: F.cross_entropy(output.logits, labels))

    assert check.profile.facts["loss"] == pytest.approx(F.cross_entropy(plain()(x), y).item(), rel=1e-6)  # the same numbers


class Recurrent(nn.Module):
    """LSTM or GRU, whose own output is (outputs, state)."""

    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.recurrent, self.head = kind(8, 16, num_layers=2, batch_first=True), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        outputs, hidden = self.recurrent(x)
        return self.head(outputs[:, -1]), hidden


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_layers(kind: type[nn.Module], batch: Pair) -> None:
    """A recurrent layer answers with a tuple; its blocks are measured all the same."""
    torch.manual_seed(0)

    check = preflight(Recurrent(kind), (torch.randn(32, 5, 8), batch[1]))

    assert check.verdict in get_args(Verdict)
    assert len(check.profile.known("signal")) >= 2
    assert len(check.profile.known("gradient")) >= 2


class Images(nn.Module):
    """Convolutions with BatchNorm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        parts = [(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1)) for _ in range(4)]
        self.stem, self.body = nn.Conv2d(3, 8, 3), nn.Sequential(*(nn.Sequential(*part) for part in parts))
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.stem(x)).mean(dim=(2, 3)))


def test_convolutions_batchnorm_and_dropout(batch: Pair) -> None:
    """A convolutional network in eval mode is examined as it will be trained, twice with the same numbers."""
    torch.manual_seed(0)
    model, given = Images().eval(), (torch.randn(32, 3, 10, 10), batch[1])

    check = preflight(model, given)

    assert check.to_json() == preflight(model, given).to_json()
    assert check.profile.points == tuple(f"body.{index}" for index in range(4))
    assert not any("deterministic" in note for note in check.notes)


def test_batchnorm_on_one_sample_says_what_torch_says(batch: Pair) -> None:
    """What torch refuses is an error with torch's words, not a traceback."""
    model = nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))

    with pytest.raises(ValueError, match="more than 1 value per channel"):
        preflight(model, (batch[0][:1], batch[1][:1]))


@pytest.mark.parametrize("shape", [(32, 7), (32, 4, 5)], ids=["(batch, time)", "(batch, height, width)"])
def test_a_class_for_each_position(shape: tuple[int, ...], plain: Plain) -> None:
    """Outputs (batch, time, classes) and (batch, classes, …) take a class for each position."""
    torch.manual_seed(0)
    if len(shape) == 2:
        model, inputs = plain(), torch.randn(*shape, 16)
    else:
        model, inputs = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 1)), torch.randn(32, 2, 4, 5)

    check = preflight(model, (inputs, torch.randint(0, 4, shape)))

    assert check.profile.facts["cross_entropy"] is not None


def test_frozen_and_unused_parts_are_named(plain: Plain, batch: Pair) -> None:
    """A frozen layer, and one that is never called, are notes, and the rest is measured."""
    model = TakesTwo(plain())
    model.net[0].requires_grad_(False)
    model.extra = nn.Linear(3, 3)

    check = preflight(model, ((batch[0], torch.ones_like(batch[0])), batch[1]))

    assert "Frozen: net.0.weight, net.0.bias will not move; fine if meant." in check.notes
    assert "Not used: the loss does not depend on extra.weight, extra.bias." in check.notes


def test_two_inputs_alone_are_read_as_a_pair(plain: Plain, batch: Pair) -> None:
    """Two tensors are inputs and targets; two inputs without targets are said as (inputs, None)."""
    model, x = TakesTwo(plain()), batch[0]

    with pytest.raises(ValueError, match=r"a pair is read as \(inputs, targets\)"):
        preflight(model, (x, x))
    assert preflight(model, ((x, x), None)).verdict in get_args(Verdict)


def test_float_targets_mean_squared_error(plain: Plain, batch: Pair) -> None:
    """Float targets of the outputs' shape are values, also in float64; integers of any width are classes."""
    x, y = batch

    squared = preflight(plain(), (x, torch.zeros(32, 4, dtype=torch.float64))).profile.facts
    classes = preflight(plain(), (x, y.to(torch.uint8))).profile.facts

    assert squared["loss"] == pytest.approx(plain()(x).square().mean().item(), rel=1e-6)  # the same numbers
    assert classes["loss"] == pytest.approx(F.cross_entropy(plain()(x), y).item(), rel=1e-6)
    with pytest.raises(BatchError, match="booleans"):
        preflight(plain(), (x, y > 1))
