"""Nothing is changed by looking, also where looking fails."""

import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fathometer.diagnosis import mend, preflight
from fathometer.errors import ModelError
from fathometer.records import Asked

# The type checks of the tests draw from the generators: they are off here.
pytestmark = pytest.mark.usefixtures("as_a_user_has_it")
Pair = tuple[Tensor, Tensor]
Plain = Callable[..., nn.Sequential]


class Rich(nn.Module):
    """BatchNorm, dropout, a frozen part, a part in eval mode, a gradient, a hook: everything that looking could disturb."""

    def __init__(self, fail: type[BaseException] | None = None) -> None:
        super().__init__()
        self.stem, self.norm, self.drop = nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Dropout(0.5)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(16, 16), nn.ReLU()) for _ in range(3))
        self.head, self.fail, self.calls = nn.Linear(16, 4), fail, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        x = self.drop(self.norm(self.stem(x))) + random.random() + float(np.random.rand())
        for block in self.blocks:
            x = block(x)
        if self.fail is not None and self.calls == 2:
            raise self.fail("in the second pass")
        return self.head(x)


def make_rich(fail: type[BaseException] | None = None) -> Rich:
    """Return it with every part in its own state."""
    torch.manual_seed(0)
    model = Rich(fail)
    model.stem.requires_grad_(False)
    model.norm.eval()
    model.head.weight.grad = torch.ones_like(model.head.weight)
    model.head.register_forward_hook(lambda module, args, output: output)
    return model


def state(model: nn.Module) -> dict[str, Any]:
    """Return all that must be as it was, as plain values and copies."""
    return {
        "tensors": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "gradients": {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()},
        "modes": [module.training for module in model.modules()],
        "trainable": [parameter.requires_grad for parameter in model.parameters()],
        "hooks": [(len(module._forward_hooks), len(module._forward_pre_hooks)) for module in model.modules()],
        "calls": model.calls,
        "generators": (torch.get_rng_state(), torch.tensor(np.random.get_state()[1].astype(np.int64)), random.getstate()),
    }


def changed(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return the names of what is not the same in two states."""
    return [key for key in one if not same(one[key], other[key])]


def same(one: Any, other: Any) -> bool:
    """Return whether two states agree in every bit."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_preflight_leaves_no_trace(mode: str, batch: Pair) -> None:
    """Parameters, buffers, gradients, modes, hooks, counters and generators are as they were, and the batch too."""
    model = make_rich()
    getattr(model, mode)()
    before, data = state(model), deepcopy(batch)

    preflight(model, batch, optimizer=torch.optim.Adam(model.parameters()))

    assert changed(before, state(model)) == []
    assert same(data, batch)


@pytest.mark.parametrize(
    ("fail", "raised"), [(RuntimeError, ModelError), (KeyboardInterrupt, KeyboardInterrupt), (SystemExit, ModelError)]
)
def test_an_exception_leaves_no_trace(fail: type[BaseException], raised: type[BaseException], batch: Pair) -> None:
    """The same holds after an error, Ctrl-C or sys.exit in the middle of the second pass."""
    model = make_rich(fail)
    before = state(model)

    with pytest.raises(raised):
        preflight(model, batch)

    assert changed(before, state(model)) == []


def test_a_branch_that_starts_at_zero_is_looked_at_on_the_quiet(plain: Plain, batch: Pair) -> None:
    """Where steps are taken to see the gradient, the weights come back, and a held graph can still go backward."""
    model = plain()
    model[-1].weight.data.zero_()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    held = model(batch[0]).sum()

    check = preflight(model, batch)
    held.backward()

    assert any("small step" in note for note in check.notes)
    assert same(before, dict(model.state_dict()))
    assert model[-1].weight.grad is not None


def test_the_first_step_of_an_optimizer_is_taken_by_a_copy(plain: Plain, batch: Pair) -> None:
    """The optimizer's state, and that of its scheduler, are as they were; the sizes of the step are in the profile."""
    model = plain()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1)
    before = deepcopy((optimizer.state_dict(), scheduler.last_epoch, dict(model.state_dict())))

    check = preflight(model, batch, optimizer=optimizer)

    assert len(check.profile.known("update")) == len(check.profile)
    assert same(before, (optimizer.state_dict(), scheduler.last_epoch, dict(model.state_dict())))


def test_mending_leaves_no_trace(batch: Pair) -> None:
    """The user's model, and the generators, are as they were after all remedies and all training."""
    model = make_rich()
    before = state(model)

    mend(model, batch, asked=Asked(steps=2))

    assert changed(before, state(model)) == []
