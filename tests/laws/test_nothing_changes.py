"""Looking changes nothing: models, gradients, modes, hooks and generators, bit for bit."""

import random
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from fathometer import preflight
from fathometer.errors import FathometerError
from fathometer.instruments import find_depth_points, listen, sound, unchanged

# A user's full backward hook on a layer whose input takes no gradient warns, in any backward pass; so be it.
pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")
WIDTH, SAMPLES = 6, 16
INPUTS = torch.randn(SAMPLES, WIDTH, generator=torch.Generator().manual_seed(0))
TARGETS = torch.arange(SAMPLES) % 3


def bits(tensor: Tensor | None) -> object:
    """Return a tensor's identity, place, shape and bytes."""
    if tensor is None:
        return None
    data = tensor.detach()
    numbers = data.clone().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return id(tensor), data.data_ptr(), data.shape, data.stride(), data.dtype, tensor.requires_grad, numbers


def portrait(model: nn.Module) -> dict[str, object]:
    """Return everything that a look could change, taken by hand."""
    told: dict[str, object] = {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": repr(np.random.get_state()),
        "python": random.getstate(),
        "grad mode": torch.is_grad_enabled(),
    }
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            told[f"{name}.{key}"] = bits(value) if isinstance(value, Tensor) else repr(value)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        told[name] = bits(tensor)
        told[f"{name}.grad"] = bits(tensor.grad) if tensor.is_leaf else None
    return told


def changed(before: dict[str, object], model: nn.Module) -> list[str]:
    """Return the names of what differs from what was."""
    after = portrait(model)
    return sorted(name for name in before.keys() | after.keys() if before.get(name, "none") != after.get(name, "none"))


def changed_by_us(before: dict[str, object], model: nn.Module) -> list[str]:
    """Return the same without Python's generator, from which beartype draws in these tests at every call of ours."""
    return [name for name in changed(before, model) if name != "python"]


class Restless(nn.Module):
    """A block that changes whatever it can whenever it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.calls, self.seen = nn.Linear(WIDTH, WIDTH), 0, []
        self.cache = torch.zeros(SAMPLES, WIDTH)
        self.register_buffer("mean", torch.zeros(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.seen.append(self.calls)
        self.last = x.detach()
        self.cache[: len(x)] = x.detach()
        self.mean = 0.9 * self.mean + x.detach().mean(0)
        self.linear.weight.data = self.linear.weight.data * 0.99  # as hand-made normalisation of weights does
        self.linear.bias.data.add_(0.01)
        random.random(), np.random.rand()
        return x + self.linear(x) + 0.01 * torch.randn_like(x)


class Recurrent(nn.Module):
    """An LSTM, which answers with a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, WIDTH, num_layers=2, batch_first=True, dropout=0.2)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x[..., None])[0][:, -1]


PARTS: dict[str, Callable[[], list[nn.Module]]] = {
    "tanh": lambda: [nn.Linear(WIDTH, WIDTH), nn.Tanh()],
    "relu in place": lambda: [nn.Linear(WIDTH, WIDTH), nn.ReLU(inplace=True)],
    "batch norm": lambda: [nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU()],
    "cumulative batch norm": lambda: [nn.BatchNorm1d(WIDTH, momentum=None, affine=False)],
    "dropout": lambda: [nn.Dropout(0.5)],
    "weight norm": lambda: [weight_norm(nn.Linear(WIDTH, WIDTH)), nn.GELU()],
    "spectral norm": lambda: [spectral_norm(nn.Linear(WIDTH, WIDTH)), nn.SiLU()],
    "restless": lambda: [Restless()],
    "lstm": lambda: [Recurrent()],
    "layer norm": lambda: [nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH)],
}


def network(parts: list[str], seed: int = 0) -> nn.Module:
    """Return these parts in a row with a readout; modes, gradients, frozen parameters and hooks are mixed by the seed."""
    torch.manual_seed(seed)
    model = nn.Sequential(*[module for part in parts for module in PARTS[part]()], nn.Linear(WIDTH, 3))
    draw = random.Random(seed)
    for module in model.modules():
        module.training = draw.random() < 0.7
    for parameter in model.parameters():
        if draw.random() < 0.3:
            parameter.grad = torch.randn_like(parameter)
        elif draw.random() < 0.2 and parameter is not model[-1].weight:
            parameter.requires_grad_(False)
    model[0].register_forward_hook(lambda module, args, output: None)
    model[-1].register_forward_pre_hook(lambda module, args: None)
    model[-1].register_full_backward_hook(lambda module, entered, left: None)
    return model


@given(st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=5), st.integers(0, 10**6), st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_module_is_as_before(parts: list[str], seed: int, broken: bool) -> None:
    """A forward and a backward pass with taps inside `unchanged` leave any module as it was, also if its loss raises."""
    model = network(parts, seed)
    before = portrait(model)

    def loss_of(output: Tensor) -> Tensor:
        if broken:
            raise KeyboardInterrupt
        return nn.functional.cross_entropy(output, TARGETS)

    def look() -> None:
        trace: list[tuple[str, int]] = []
        with unchanged(model):
            with torch.no_grad(), listen(model, on_call=lambda call: trace.append((call.name, call.index))):
                model(INPUTS.clone())
            sound(model, lambda: model(INPUTS.clone()), loss_of, find_depth_points(model, trace), num_samples=SAMPLES)

    if broken:
        with pytest.raises(KeyboardInterrupt):
            look()
    else:
        look()
    assert changed(before, model) == []


@pytest.mark.parametrize("part", sorted(set(PARTS) - {"dropout", "cumulative batch norm"}))
def test_preflight_leaves_every_kind_of_part_as_it_was(part: str) -> None:
    """The whole of preflight, with its look ahead and its optimizer, changes nothing."""
    model = network([part, part, part], seed=1)
    optimizer = torch.optim.Adam(model.parameters())
    before, state = portrait(model), repr(optimizer.state_dict())
    preflight(model, (INPUTS, TARGETS), optimizer=optimizer)

    assert changed_by_us(before, model) == []
    assert state == repr(optimizer.state_dict())


def test_a_plain_pass_does_change_things() -> None:
    """The control: the portrait sees what a forward and backward pass without `unchanged` leaves behind."""
    model = network(sorted(PARTS), seed=1).train()
    before = portrait(model)
    nn.functional.cross_entropy(model(INPUTS), TARGETS).backward()
    names = changed(before, model)

    assert {"torch", "numpy", "python"} <= set(names)
    for ending in ("num_batches_tracked", "weight.grad", ".calls", ".cache", ".mean", "bias", "weight", ".last"):
        assert any(name.endswith(ending) for name in names), ending


class FailsAt(nn.Module):
    """A network that raises when it runs for the n-th time, with all done that a pass does before."""

    def __init__(self, turn: int, problem: type[BaseException]) -> None:
        super().__init__()
        self.turn, self.problem, self.turns = turn, problem, [0]
        self.blocks, self.readout = nn.Sequential(Restless(), Restless(), nn.BatchNorm1d(WIDTH)), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(x)
        TURNS.append(1)  # outside of the model: it counts on
        if len(TURNS) == self.turn:
            raise self.problem("enough")
        return self.readout(x)


TURNS: list[int] = []


@pytest.mark.parametrize("problem", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("turn", [1, 2])
def test_an_exception_inside_leaves_all_as_it_was(turn: int, problem: type[BaseException]) -> None:
    """Whether the first or the measuring pass raises, and whatever it raises."""
    TURNS.clear()
    model = FailsAt(turn, problem)
    model.blocks[0].eval()
    before = portrait(model)
    with pytest.raises((FathometerError, problem)):
        preflight(model, (INPUTS, TARGETS))

    assert len(TURNS) == turn
    assert changed_by_us(before, model) == []


def test_an_exception_in_the_backward_pass_too() -> None:
    """A graph that cannot be run back is an error, and leaves no trace."""

    class Stubborn(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: object, gradient: Tensor) -> Tensor:
            raise RuntimeError("no way back")

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = Restless(), nn.Linear(WIDTH, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(Stubborn.apply(self.first(x)))

    model = Net()
    before = portrait(model)
    with pytest.raises(FathometerError, match="no way back"):
        preflight(model, (INPUTS, TARGETS))
    assert changed_by_us(before, model) == []


def test_the_batch_stays_as_it_is() -> None:
    """Inputs that take gradients have no gradient and no hook afterwards, and the same numbers."""
    inputs = INPUTS.clone().requires_grad_()
    before = bits(inputs)
    preflight(nn.Sequential(nn.Identity(), *PARTS["tanh"](), *PARTS["tanh"](), nn.Linear(WIDTH, 3)), (inputs, TARGETS))

    assert before == bits(inputs)
    assert inputs.grad is None
    assert not inputs._backward_hooks


ALONE = """
import random, torch, fathometer
from torch import nn

class Drawing(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)
    def forward(self, x):
        return torch.tanh(self.linear(x)) * (1 + 1e-3 * random.random())

look = fathometer.preflight  # rich draws a number when it is imported
random.seed(3)
before = random.getstate()
model = nn.Sequential(*[Drawing() for _ in range(4)], nn.Linear(6, 3))
look(model, (torch.randn(32, 6), torch.arange(32) % 3))
assert random.getstate() == before
model(torch.randn(32, 6))
assert random.getstate() != before
"""


def test_pythons_generator_is_left_alone() -> None:
    """Without the type checks of these tests, preflight leaves Python's generator as it was, though the model draws from it."""
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
