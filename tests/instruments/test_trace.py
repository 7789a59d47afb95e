"""The trace tells what ran, what was handed on, and which modules are mere chains."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.instruments import listen
from fathometer.instruments.trace import Recorder, Step, trace_of


class Net(nn.Module):
    """Two layers and an activation, run by a function of the test."""

    def __init__(self, run: object) -> None:
        super().__init__()
        self.one, self.act, self.two, self.run = nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 4), run

    def forward(self, x: Tensor) -> object:
        return self.run(self, x)


def in_place(net: Net, x: Tensor) -> Tensor:
    """Return a sum that is written into what a layer gave."""
    out = net.two(net.act(net.one(x)))
    out += x
    return out


RUNS = {
    "chain": (lambda net, x: net.two(net.act(net.one(x))), True),
    "views and tuples": (lambda net, x: (net.two(net.act(net.one(x.view(2, 2, 4))).reshape(4, 4)), 3), True),
    "a list in between": (lambda net, x: {"out": net.two([net.one(x)][0])}, True),
    "residual": (lambda net, x: x + net.two(net.act(net.one(x))), False),
    "residual, in place": (in_place, False),
    "a function in between": (lambda net, x: net.two(F.gelu(net.one(x))), False),
    "side by side": (lambda net, x: net.one(x) + net.two(x), False),
    "the first of two": (lambda net, x: (net.two(x), net.one(x))[1], False),
    "nothing called": (lambda net, x: x, False),
    "from elsewhere": (lambda net, x: net.one(torch.ones(4, 4)), False),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_chain_adds_nothing_of_its_own(name: str) -> None:
    """A module is a chain if it hands what it is given through its parts, untouched, and nothing else."""
    run, expected = RUNS[name]
    net = Net(run)
    assert trace_of(net, lambda: net(torch.randn(4, 4)))[-1].is_chain is expected


def test_calls_are_written_as_they_end() -> None:
    """Parts come before what holds them, and rounds are counted; gradients are not recorded."""
    net = Net(lambda net, x: net.one(net.one(x)))
    steps = trace_of(net, lambda: net(torch.randn(4, 4)))

    assert [(step.name, step.index) for step in steps] == [("one", 0), ("one", 1), ("", 0)]
    assert steps[0].gave == steps[1].given
    assert steps[0].given == steps[2].given
    assert steps[1].given != steps[0].given


def test_marks_do_not_keep_tensors_and_are_not_used_twice() -> None:
    """Memory that is given away and taken again has a new mark: a thousand short-lived tensors are all different."""
    recorder = Recorder()
    marks = {mark for _ in range(1000) for mark in recorder._marks(torch.randn(1000))}
    assert len(marks) == 1000


def test_tensors_without_memory_of_their_own_have_marks() -> None:
    """Sparse tensors, and what holds no tensor, do no harm."""
    recorder = Recorder()
    sparse = torch.eye(3).to_sparse()

    assert len(recorder._marks((sparse, "text", None))) == 1
    assert recorder._marks(sparse) != recorder._marks(sparse)
    assert recorder._marks(3) == frozenset()


def test_a_part_that_fails_and_is_caught_does_no_harm() -> None:
    """The call that failed is not written; those after it are, in their places."""

    def run(net: Net, x: Tensor) -> Tensor:
        try:
            net.one(torch.ones(3, 3))
        except RuntimeError:
            return net.two(x)
        raise AssertionError

    net = Net(run)
    assert [step.name for step in trace_of(net, lambda: net(torch.randn(4, 4)))] == ["two", ""]


def test_without_the_start_of_calls_only_names_are_known() -> None:
    """Who tells the ends alone gets names and rounds."""
    net, recorder = Net(lambda net, x: net.one(x)), Recorder()
    with listen(net, on_call=recorder.leave):
        net(torch.randn(4, 4))
    assert recorder.trace == [Step("one", 0), Step("", 0)]
