"""A compiled model is watched without a graph break or a new compilation on unmeasured steps."""

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter
from torch.nn import functional as F

from fathometer.instruments.recorder import StepRecorder
from fathometer.instruments.recorder_price import PRICES

pytestmark = [  # torch's own, in its compiler
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
]


class Block(nn.Module):
    """A layer and a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).relu()


class Network(nn.Module):
    """Four blocks and a readout; torch's own containers are not compiled by themselves."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks, self.readout = nn.ModuleList(Block() for _ in range(4)), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.readout(x)


def train(measured: tuple[int, ...], how: str) -> tuple[int, int, list[float], list[tuple[float | None, ...]]]:
    """Train a compiled network for eight steps; return compilations, calls of what was compiled, losses, and signals."""
    torch._dynamo.reset()
    model, counter = Network(), CompileCounter()
    inputs, targets = torch.randn(32, 16, generator=torch.Generator().manual_seed(1)), torch.arange(32) % 4
    if how == "blocks":
        for block in model.blocks:
            block.compile(backend=counter)
    called = torch.compile(model, backend=counter) if how == "model" else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder = StepRecorder(called, [optimizer], PRICES["standard"])
    losses, signals = [], []
    for step in range(1, 9):
        if step in measured:
            recorder.arm()
        optimizer.zero_grad()
        loss: Tensor = F.cross_entropy(called(inputs), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step in measured:
            signals.append(recorder.finish(step).columns["signal"])
    return counter.frame_count, counter.op_count, losses, signals


def test_measuring_compiles_nothing_anew() -> None:
    """As many frames and operations are compiled with measured steps as without, and the losses are the same."""
    for how in ("model", "blocks"):
        bare, watched = train((), how), train((1, 4, 5, 7), how)

        assert watched[:2] == bare[:2], how
        assert bare[0] > 0
        torch.testing.assert_close(torch.tensor(watched[2]), torch.tensor(bare[2]), rtol=1e-5, atol=0)
        assert len(watched[3]) == 4
        assert all(value is not None for series in watched[3] for value in series)


def test_a_hook_that_stays_would_be_seen() -> None:
    """The same count notices a module that is not compiled as one piece: it is a count that can fail."""
    torch._dynamo.reset()
    model, counter = Network(), CompileCounter()
    model.blocks[1].register_forward_hook(lambda module, args, output: print(end=""))
    torch.compile(model, backend=counter)(torch.randn(32, 16))

    assert counter.frame_count > train((), "model")[0]
