"""What the tests of the diagnosis share: small networks and data with something to learn."""

from collections.abc import Callable

import jaxtyping
import pytest
import torch
from torch import Tensor, nn

Pair = tuple[Tensor, Tensor]


@pytest.fixture
def as_a_user_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn the type checks of the tests off: a user's wrong type must meet our own error."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def plain() -> Callable[..., nn.Sequential]:
    """Return a function that makes a plain network of 16 inputs and 4 outputs, as torch starts it."""

    def make(depth: int = 3, activation: type[nn.Module] = nn.Tanh, seed: int = 0) -> nn.Sequential:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            layers = [part for _ in range(depth) for part in (nn.Linear(16, 16), activation())]
            return nn.Sequential(*layers, nn.Linear(16, 4))

    return make


@pytest.fixture
def batch() -> Pair:
    """Return 32 samples `(32, 16)` with the class that a linear teacher gives each."""
    return teacher_data(32)


@pytest.fixture
def data() -> list[Pair]:
    """Return ten batches of 32 of the same teacher."""
    inputs, targets = teacher_data(320)
    return list(zip(inputs.split(32), targets.split(32), strict=True))


def teacher_data(num_samples: int) -> Pair:
    """Return inputs and the largest of four random linear functions of them."""
    generator = torch.Generator().manual_seed(0)
    teacher = torch.randn(16, 4, generator=generator)
    inputs = torch.randn(num_samples, 16, generator=generator)
    return inputs, (inputs @ teacher).argmax(dim=1)
