"""Depth in models that go through time: fused layers in steps, and cells in loops."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fathometer.instruments import DepthPoint, DepthPoints, find_depth_points
from fathometer.instruments.trace import trace_of

WIDTH, TIMES = 6, 5
X = torch.randn(4, TIMES, WIDTH, generator=torch.Generator().manual_seed(0))
Find = Callable[..., tuple[str, list[str]]]


def steps(name: str, count: int = TIMES, turn: str = "") -> list[str]:
    """Return the names of steps through time."""
    return [f"{name}@{number}{turn}" for number in range(1, count + 1)]


class Reader(nn.Module):
    """An embedding, a recurrent layer, and a readout of its last state."""

    def __init__(self, kind: type[nn.RNNBase], **options: object) -> None:
        super().__init__()
        self.embed, self.rnn = nn.Linear(WIDTH, WIDTH), kind(WIDTH, WIDTH, batch_first=True, **options)
        self.readout = nn.Linear(WIDTH * (2 if self.rnn.bidirectional else 1), 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.rnn(self.embed(x))[0][:, -1])


class Deep(nn.Module):
    """Recurrent layers in a list, each with a norm; beside a residual stream or not."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.GRU(WIDTH, WIDTH, batch_first=True) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = x + layer(norm(x))[0]
        return x[:, -1]


class Inside(nn.Module):
    """Convolutions, a recurrent layer, a readout: depth in both directions."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Sequential(nn.Conv1d(WIDTH, WIDTH, 3, padding=1), nn.ReLU()) for _ in range(3))
        self.rnn, self.readout = nn.LSTM(WIDTH, WIDTH, batch_first=True), nn.Linear(WIDTH, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = x.mT
        for convolution in self.convolutions:
            x = convolution(x)
        return self.readout(self.rnn(x.mT)[0][:, -1])


class Translator(nn.Module):
    """An encoder whose last state starts the decoder, and one recurrent layer that reads twice."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = self.decoder = nn.LSTM(WIDTH, WIDTH, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        _, state = self.encoder(x)
        return self.decoder(x[:, :3], state)[0]


class Loop(nn.Module):
    """A cell in a loop; the readout reads each state, or the last."""

    def __init__(self, cell: nn.Module, each: bool = False) -> None:
        super().__init__()
        self.cell, self.readout, self.each = cell, nn.Linear(WIDTH, 2), each

    def forward(self, x: Tensor) -> Tensor:
        state, answers = None, []
        for time in x.unbind(1):
            state = self.cell(time, state)
            if self.each:
                answers.append(self.readout(state[0] if isinstance(state, tuple) else state))
        return torch.stack(answers, 1) if self.each else self.readout(state[0] if isinstance(state, tuple) else state)


class OwnCell(nn.Module):
    """A recurrent cell of a user's own."""

    def __init__(self) -> None:
        super().__init__()
        self.from_input, self.from_state = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, state: Tensor | None) -> Tensor:
        return torch.tanh(self.from_input(x) + (0 if state is None else self.from_state(state)))


class Cells(nn.Module):
    """Cells on top of each other, through time."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.ModuleList(nn.LSTMCell(WIDTH, WIDTH) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        states: list[tuple[Tensor, Tensor] | None] = [None, None]
        for time in x[:, :2].unbind(1):
            for index, cell in enumerate(self.cells):
                states[index] = cell(time, states[index])
                time = states[index][0]
        return time


def turns(*names: str, count: int = TIMES) -> list[str]:
    """Return the calls of some modules, round by round."""
    return [name if turn == 1 else f"{name}#{turn}" for turn in range(1, count + 1) for name in names]


FOUND: dict[str, tuple[Callable[[], nn.Module], str, list[str]]] = {
    "rnn": (lambda: Reader(nn.RNN), "steps", steps("rnn")),
    "lstm": (lambda: Reader(nn.LSTM, proj_size=0), "steps", steps("rnn")),
    "two layers": (lambda: Reader(nn.GRU, num_layers=2), "steps", steps("rnn")),
    "both directions": (lambda: Reader(nn.GRU, bidirectional=True), "steps", steps("rnn")),
    "two layers in both directions": (
        lambda: Reader(nn.LSTM, num_layers=2, bidirectional=True), "steps", steps("rnn", 2 * TIMES),
    ),
    "the model itself": (lambda: nn.GRU(WIDTH, WIDTH, batch_first=True), "steps", steps("model")),
    "layers in a list": (lambda: Deep(2), "steps", [*steps("layers.0"), *steps("layers.1")]),
    "after convolutions": (Inside, "blocks", [*(f"convolutions.{index}" for index in range(3)), *steps("rnn")]),
    "one layer that reads twice": (Translator, "steps", [*steps("encoder"), *steps("encoder", 3, "#2")]),
    "cell in a loop": (lambda: Loop(nn.GRUCell(WIDTH, WIDTH)), "blocks", turns("cell")),
    "cell that is read each time": (lambda: Loop(nn.LSTMCell(WIDTH, WIDTH), each=True), "blocks", turns("cell")),
    "own cell": (lambda: Loop(OwnCell()), "blocks", turns("cell")),
    "cells on top of each other": (Cells, "blocks", turns("cells.0", "cells.1", count=2)),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_steps_through_time_are_depth(name: str, found: Find) -> None:
    """Each step of a recurrent layer, and each call of a cell, is a depth point, in the order of time."""
    build, found_as, expected = FOUND[name]
    assert found(build(), X) == (found_as, expected)


def test_a_single_step_is_no_depth(found: Find) -> None:
    """A sequence of one is a layer among the others."""
    assert found(Reader(nn.GRU), X[:, :1]) == ("layers", ["embed", "rnn", "readout"])


def test_of_many_steps_some_are_points(found: Find) -> None:
    """A long sequence has 64 points, the first and the last step among them."""
    _, names = found(Reader(nn.GRU), torch.randn(2, 200, WIDTH))

    assert len(names) == 64
    assert (names[0], names[-1]) == ("rnn@1", "rnn@200")


def test_steps_can_be_chosen(found: Find) -> None:
    """Patterns name steps too, and the layer as a whole."""
    assert found(Reader(nn.GRU), X, layers=["rnn@[13]", "embed"]) == ("chosen", ["embed", "rnn@1", "rnn@3"])
    assert found(Reader(nn.GRU), X, layers="rnn") == ("chosen", ["rnn"])


def test_a_step_holds_the_weights_of_its_layer() -> None:
    """Steps are no modules: nothing listens to them, and what they hold is their layer's."""
    model = Reader(nn.GRU)
    points = find_depth_points(model, trace_of(model, lambda: model(X)))

    assert points == DepthPoints(tuple(DepthPoint(f"rnn@{n}", (f"rnn@{n}",)) for n in range(1, TIMES + 1)), "steps")
    assert points.points[2].holds("rnn.weight_hh_l0")
    assert not points.points[2].holds("readout.weight")
    assert points.points[2].modules == ("rnn",)
    assert points.points[2].is_step
    assert points.modules == ()
    assert points.outside(model) == ("embed", "readout")
