"""What is measured equals what plain torch says, and what was special is noted."""

import threading
from collections.abc import Callable
from itertools import count
from os import urandom

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.diagnosis import preflight
from fathometer.errors import ModelError

Pair = tuple[Tensor, Tensor]
Plain = Callable[..., nn.Sequential]


class Wrapped(nn.Module):
    """A network with something around it."""

    def __init__(self, net: nn.Module, answer: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.answer = net, answer

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(self.net, x)


def test_signal_and_gradient_equal_plain_autograd(plain: Plain, batch: Pair) -> None:
    """The columns are the second moments that a hand-written pass gives, the gradient over that of the last block."""
    model, (x, y) = plain(4), batch
    kept = []
    for linear, activation in zip(model[:-1:2], model[1::2], strict=True):
        x = activation(linear(x))
        x.retain_grad()
        kept.append(x)
    F.cross_entropy(model[-1](x), y).backward()
    gradients = [float(one.grad.square().mean()) for one in kept]

    check = preflight(plain(4), batch)

    # The instruments count in float64, the twin in float32.
    assert check.profile.column("signal") == pytest.approx([float(one.detach().square().mean()) for one in kept], rel=1e-5)
    assert check.profile.column("gradient") == pytest.approx([one / gradients[-1] for one in gradients], rel=1e-4)


def test_the_step_of_an_optimizer_equals_a_real_one(plain: Plain, batch: Pair) -> None:
    """The update column is how far a real step moves each block's weights, over their size."""
    model, twin = plain(), plain()
    F.cross_entropy(twin(batch[0]), batch[1]).backward()
    torch.optim.SGD(twin.parameters(), lr=0.1).step()

    check = preflight(model, batch, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))

    moved = [((twin[i].weight - model[i].weight).norm() / model[i].weight.norm()).item() for i in (0, 2, 4)]
    assert check.profile.column("update") == pytest.approx(moved, rel=1e-4)  # differences of float32 numbers


def test_a_step_on_a_model_that_cannot_be_copied_is_refused(plain: Plain, batch: Pair) -> None:
    """With an optimizer a copy is needed, and the error says so; without one the model is looked at."""
    model = plain()
    model.lock = threading.Lock()

    with pytest.raises(ModelError, match="The model cannot be copied: TypeError"):
        preflight(model, batch, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    assert preflight(model, batch).profile.points


def test_a_zero_on_the_way_is_not_dead(plain: Plain, batch: Pair) -> None:
    """A readout that starts at zero lets no gradient through at first: it is read after a step, and a note says so."""
    zero = plain()
    nn.init.zeros_(zero[-1].weight)

    check = preflight(zero, batch)

    assert all(value and value > 0 for _, value in check.profile.known("gradient"))
    assert any("starts with a zero on the way" in note for note in check.notes)
    assert not any("zero" in note for note in preflight(plain(), batch).notes)


def turns(net: nn.Module, ticks: count) -> Callable[[nn.Module, Tensor], Tensor]:
    """Return an answer that differs from call to call."""
    return lambda net, x: net(x) * (1 + next(ticks))


CHANCE: dict[str, Callable[[], Callable[[nn.Module, Tensor], Tensor]]] = {
    "a counter": lambda: turns(nn.Identity(), count()),
    "the system's own chance": lambda: lambda net, x: net(x) + torch.tensor(list(urandom(4))) / 255,
    "a shape that changes": lambda: (lambda ticks: lambda net, x: net(x)[: 8 + 8 * (next(ticks) % 2)])(count()),
}


@pytest.mark.parametrize("name", CHANCE)
def test_a_forward_that_is_not_deterministic_is_noted(name: str, plain: Plain, batch: Pair) -> None:
    """Two passes that differ are said, and the rest is measured."""
    check = preflight(Wrapped(plain(), CHANCE[name]()), batch[0])

    assert [note for note in check.notes if "The forward pass is not deterministic" in note]


@pytest.mark.parametrize("answer", [lambda net, x: net(x), lambda net, x: net(F.dropout(x, 0.5))], ids=["plain", "dropout"])
def test_chance_that_a_seed_decides_is_not_noted(answer: Callable, plain: Plain, batch: Pair) -> None:
    """Dropout draws from torch's generator: with the same seed two passes agree."""
    assert not [note for note in preflight(Wrapped(plain(), answer), batch).notes if "deterministic" in note]


def test_tied_parameters_are_counted_once(plain: Plain, batch: Pair) -> None:
    """Two names of one parameter are a note, and one parameter in the sum."""
    model = plain()
    model[2].weight = model[0].weight

    check = preflight(model, batch)

    assert "Tied: 0.weight and 2.weight are one parameter, counted once." in check.notes
    assert check.profile.facts["num_parameters"] == 2 * 256 - 256 + 256 + 3 * 16 + 4 * 16 + 4


def test_without_repeated_blocks_the_layers_serve(batch: Pair) -> None:
    """A network of unlike layers is measured by layer, and a note says so."""
    check = preflight(nn.Sequential(nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 4)), batch)

    assert check.profile.points == ("0", "2")
    assert any("No repeated blocks" in note for note in check.notes)


@pytest.mark.parametrize(("size", "words"), [(1, "one sample"), (2, "2 samples"), (7, "7 samples"), (8, None)])
def test_few_samples_are_noted(size: int, words: str | None, plain: Plain, batch: Pair) -> None:
    """With one sample correlation is unknown, with fewer than eight the rank; a note says what more would tell."""
    check = preflight(plain(), (batch[0][:size], batch[1][:size]))
    notes = [note for note in check.notes if "sample" in note]

    assert len(notes) == (words is not None)
    assert all(str(words) in note for note in notes)
    assert bool(check.profile.known("correlation")) == (size > 1)
    assert bool(check.profile.known("rank")) == (size >= 8)


def test_an_output_that_is_not_finite_is_named(plain: Plain, batch: Pair) -> None:
    """Numbers that overflow on the way are a finding that names the first module, not an error."""
    model = plain()
    for index in (2, 4):
        model[index].weight.data.mul_(1e30)  # 1e60 is beyond float32
        model[index + 1] = nn.Identity()

    check = preflight(model, batch)

    assert (check.verdict, check.findings[0].cause) == ("will not train", "non_finite")
    assert "comes from linear in 4;" in check.findings[0].sentence


def test_popping_from_the_batch_is_a_change_in_place(plain: Plain, batch: Pair) -> None:
    """A forward that takes a key out of its dictionary is told, and the user's dictionary keeps it."""

    class Pops(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = plain()

        def forward(self, batch: dict[str, Tensor]) -> Tensor:
            return self.net(batch.pop("x"))

    given = {"x": batch[0], "other": batch[0]}
    with pytest.raises(ValueError, match="changed its input x in place"):
        preflight(Pops(), (given, batch[1]))
    assert list(given) == ["x", "other"]
