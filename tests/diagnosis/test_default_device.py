"""Tensors that are made on another device unless it is said where: nothing here relies on the default."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import fathometer as fm

Make = Callable[[], tuple[nn.Module, tuple[Tensor, Tensor]]]


def perceptron() -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    """Return a deep tanh network, whose gradient vanishes, and a batch."""
    layers = [part for _ in range(12) for part in (nn.Linear(16, 16), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(16, 5)), (torch.randn(32, 16), torch.randint(5, (32,)))


def transformer() -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    """Return an encoder of tokens, and a batch."""
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    tokens = torch.randint(11, (16, 12))
    return nn.Sequential(nn.Embedding(11, 16), nn.TransformerEncoder(layer, 4), nn.Linear(16, 11)), (tokens, tokens)


def usual_default() -> None:
    """Let tensors be made on the CPU again, as in a new process: torch 2.7 cannot say which default it has after a None."""
    torch.set_default_device(None)
    vars(torch._GLOBAL_DEVICE_CONTEXT).pop("device_context", None)  # pyrefly: ignore[missing-attribute]


@pytest.fixture(params=[perceptron, transformer])
def case(request: pytest.FixtureRequest) -> Iterator[tuple[nn.Module, tuple[Tensor, Tensor]]]:
    """Make a network and a batch on the CPU, then let every tensor without a device be one without numbers."""
    torch.manual_seed(0)
    made = request.param()
    # torch 2.7 imports its compiler at the first step of any optimizer, which fails, for good, while the default is another.
    torch.optim.SGD([nn.Parameter(torch.ones(1))]).step()
    torch.set_default_device("meta")
    yield made
    usual_default()


def test_the_default_is_another() -> None:
    """The control: with this default a tensor without a device has no numbers, and a CPU's generator is refused."""
    torch.set_default_device("meta")
    try:
        assert torch.zeros(1).is_meta
        assert torch.randperm(3, generator=torch.Generator().manual_seed(0), device="cpu").device.type == "cpu"
    finally:
        usual_default()


@pytest.mark.parametrize("is_thorough", [False, True])
def test_preflight(case: tuple[nn.Module, tuple[Tensor, Tensor]], is_thorough: bool) -> None:
    """The verdict is that of a process with the usual default."""
    found = fm.preflight(*case, thorough=is_thorough)
    usual_default()
    usual = fm.preflight(*case, thorough=is_thorough)

    assert found.verdict == usual.verdict
    assert [one.cause for one in found.findings] == [one.cause for one in usual.findings]
    assert found.profile.to_dict() == usual.profile.to_dict()


def test_mend(case: tuple[nn.Module, tuple[Tensor, Tensor]]) -> None:
    """Remedies are tried, and proved or not, on the device of the model."""
    found = fm.mend(*case)

    assert found.trial_before.losses
    assert found.tried or not found.needed


def test_watch(case: tuple[nn.Module, tuple[Tensor, Tensor]]) -> None:
    """Steps are measured with finite numbers."""
    model, batch = case
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with fm.watch(model, optimizer, every=2) as seen:
        for _ in range(4):
            optimizer.zero_grad()
            output = model(batch[0])
            loss = F.cross_entropy(output.reshape(-1, output.shape[-1]), batch[1].reshape(-1))
            loss.backward()
            optimizer.step()
            seen.step(loss, batch)

    assert seen.readings
    assert all(reading.is_finite for reading in seen.readings)
