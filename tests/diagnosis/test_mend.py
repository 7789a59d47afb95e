"""The smallest remedy that is proved to work: proved on real runs, and only then."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from importlib import import_module
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fathometer.data import digits
from fathometer.diagnosis import Fix, mend, preflight
from fathometer.diagnosis.remedies.candidate import call_on_copy
from fathometer.diagnosis.remedies.propose import CATALOGUE
from fathometer.diagnosis.remedies.weights import INITIALISE
from fathometer.diagnosis.words import beside_the_proved
from fathometer.errors import BatchError, ModelError, RecordError
from fathometer.records import Asked

Pair = tuple[Tensor, Tensor]
Plain = Callable[..., nn.Sequential]
SHORT = Asked(steps=60)
pytestmark = pytest.mark.usefixtures("as_a_user_has_it")  # the checks make training several times slower


@pytest.fixture(scope="module")
def sick() -> nn.Sequential:
    """Return eighteen tanh layers of 16 units, as torch starts them."""
    torch.manual_seed(0)
    return nn.Sequential(*[part for _ in range(18) for part in (nn.Linear(16, 16), nn.Tanh())], nn.Linear(16, 4))


@pytest.fixture
def fix(sick: nn.Sequential, batch: Pair, data: list[Pair]) -> Fix:
    """Return what mends it."""
    return mend(sick, batch, data=data, asked=SHORT).named("sick")


def test_a_sick_network_is_mended(fix: Fix, sick: nn.Sequential, batch: Pair) -> None:
    """Before it was refused and did not train; after it is healthy and does; both profiles and both runs are kept."""
    assert (fix.before.verdict, fix.trial_before.trains, fix.needed) == ("will not train", False, True)
    proved = fix.proved
    assert proved is not None
    assert proved.after is not None
    assert proved.trial is not None
    assert proved.after.verdict == "healthy"
    assert proved.trial.trains
    assert proved.trial.middle_loss < fix.trial_before.middle_loss
    assert len(proved.trial.records) == len(fix.trial_before.records) == 3
    assert [attempt.outcome for attempt in fix.tried].count("proved") == 1
    assert preflight(fix.model, batch).verdict == "healthy"


def test_the_code_that_is_pasted_is_the_model(fix: Fix, sick: nn.Sequential, batch: Pair) -> None:
    """Pasted where only `model` (and `inputs`) are known, the code gives the weights and answers of `fix.model`."""
    names: dict[str, Any] = {"model": sick} | ({"inputs": batch[0]} if "# inputs:" in fix.code else {})
    before = [parameter.clone() for parameter in sick.parameters()]
    names["model"] = deepcopy(sick)
    exec(fix.code, names)  # what a user does with it

    assert fix.model is not None
    assert torch.equal(names["model"](batch[0]), fix.model(batch[0]))
    assert all(torch.equal(one, two) for one, two in zip(before, sick.parameters(), strict=True))


def test_json_round_trips(fix: Fix) -> None:
    """A fix reads back from its strict JSON, but for the model; anything else is a `RecordError`."""
    text = fix.to_json()
    again = Fix.from_json(text)

    assert again == replace(fix, model=None)
    assert again.to_json() == text
    assert (again.code, again.evidence, str(again)) == (fix.code, fix.evidence, str(fix))
    table = json.loads(text)
    for broken in (
        {**table, "schema": "fathometer.mend/2"},
        {**table, "schema": "fathometer.preflight/1"},
        {**table, "tried": [1]},
        {**table, "trial_before": []},
        {**table, "before": {}},
        {name: value for name, value in table.items() if name != "tried"},
        [table],
    ):
        with pytest.raises(RecordError):
            Fix.from_json(json.dumps(broken))
    with pytest.raises(RecordError, match="not JSON"):
        Fix.from_json(text[: len(text) // 2])


def test_a_healthy_network_is_left_alone(plain: Plain, batch: Pair, data: list[Pair]) -> None:
    """Nothing to mend: nothing is tried, and the model comes back as a copy with the same numbers."""
    model = plain(1)

    fix = mend(model, batch, data=data, asked=SHORT)

    assert (fix.needed, fix.tried, fix.proved, fix.code) == (False, (), None, "")
    assert fix.evidence.startswith("Nothing to mend")
    assert fix.model is not model
    assert torch.equal(fix.model(batch[0]), model(batch[0]))


def test_a_false_alarm_is_said(plain: Plain, batch: Pair, data: list[Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that trains in the short runs is not called doomed because no remedy did better."""
    alarmed = lambda *args, **named: replace(preflight(*args, **named), verdict="at risk")  # noqa: E731
    monkeypatch.setattr(import_module("fathometer.diagnosis.mend"), "preflight", alarmed)
    only(monkeypatch, too_large=with_gain(30.0))

    fix = mend(plain(1), batch, data=data, asked=SHORT).named("odd")

    assert (fix.proved, fix.needed, len(fix.tried)) == (None, False, 1)
    assert fix.evidence.startswith("odd trains as it is (held-out loss")
    assert fix.evidence.endswith("No remedy does better.")


@pytest.mark.parametrize("wrong", [5, 0.5])
def test_data_that_are_no_batches(wrong: Any, plain: Plain, batch: Pair) -> None:
    """`data=5` is refused in one sentence."""
    with pytest.raises(BatchError, match=r"`data` is (an int|a float)"):
        mend(plain(1), batch, data=wrong)


def only(monkeypatch: pytest.MonkeyPatch, **remedies: Callable) -> None:
    """Leave only these remedies in the catalogue."""
    for name in list(CATALOGUE):
        monkeypatch.delitem(CATALOGUE, name)
    for name, maker in remedies.items():
        monkeypatch.setitem(CATALOGUE, name, maker)


def with_gain(gain: float) -> Callable:
    """Return the remedy that starts all weights at a gain, right or wrong."""
    return lambda case, examination: call_on_copy(
        case, f"gain {gain}", f"Gain {gain}", "As a test asks.", 1, INITIALISE, {"gain": gain, "orthogonal": True}, ()
    )


@pytest.mark.parametrize(("gain", "outcome"), [(0.1, "did not help"), (30.0, "did not help"), (1.0, "proved")])
def test_a_wrong_remedy_is_not_proved(
    gain: float, outcome: str, sick: nn.Sequential, batch: Pair, data: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: weights far too small or too large do not help, by the same code that proves the right ones."""
    only(monkeypatch, wrong=with_gain(gain))

    fix = mend(sick, batch, data=data, asked=SHORT)

    assert [attempt.outcome for attempt in fix.tried] == [outcome]


def test_a_profile_alone_is_no_proof(sick: nn.Sequential, batch: Pair, data: list[Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    """On targets that have nothing to do with the inputs a healthy profile does not count: no remedy is proved."""
    only(monkeypatch, right=with_gain(1.0))
    torch.manual_seed(0)
    noise = [(inputs, torch.randint(0, 4, (len(inputs),))) for inputs, _ in data]

    fix = mend(sick, noise[0], data=noise, asked=SHORT)

    (attempt,) = fix.tried
    assert attempt.after is not None
    assert (attempt.after.verdict, attempt.outcome) == ("healthy", "did not help")
    assert fix.evidence.startswith("No remedy was proved")
    assert fix.code == ""
    assert torch.equal(fix.model(batch[0]), sick(batch[0]))


class Peculiar(nn.Module):
    """Layers whose weights the user reads by himself: no module can be put in their place."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.head = nn.ModuleList(nn.Linear(16, 16) for _ in range(16)), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.tanh(x @ layer.weight.T + layer.bias)
        return self.head(x)


def test_a_remedy_that_does_not_fit_is_said_and_the_next_is_tried(
    batch: Pair, data: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What raises on this network did not help, and says why; nothing else stops."""

    def raises(case: object, examination: object) -> Any:
        candidate = with_gain(1.0)(case, examination)

        def apply(case: object, seed: int) -> nn.Module:
            raise ZeroDivisionError("inside")

        return replace(candidate, apply=apply)

    only(monkeypatch, raises=raises, **{name: CATALOGUE[name] for name in ("add_norm", "add_residual")}, right=with_gain(1.0))
    torch.manual_seed(0)

    fix = mend(Peculiar(), batch, data=data, asked=SHORT)

    first = fix.tried[0]
    assert first.outcome == "did not help"
    assert "ZeroDivisionError: inside" in first.why
    assert fix.proved is not None


@pytest.mark.parametrize(
    ("loss", "best", "end"),
    [(2.0, 1.5, "reaches 1.5."), (1.5, 1.52, "reaches 1.52, and is no more invasive."), (2.0, None, "were not proved.")],
    ids=["worse", "as good", "none was proved"],
)
def test_a_remedy_that_trains_is_held_against_the_one_proved(loss: float, best: float | None, end: str) -> None:
    """The one proved is said to reach its loss, and never to do better than one that ended lower."""
    assert beside_the_proved(loss, best).endswith(end)


def test_progress_is_told(plain: Plain, batch: Pair, data: list[Pair]) -> None:
    """The callback hears the start, each step of each of the five runs, and the end."""
    heard: list[tuple[str, int, int]] = []

    mend(plain(1), batch, data=data, asked=SHORT, progress=lambda *step: heard.append(step))

    total = 5 * SHORT.steps
    assert heard == [("the network as it is", done, total) for done in (*range(total + 1), total)]


def test_what_cannot_be_mended_at_all(plain: Plain, batch: Pair) -> None:
    """No targets, too few samples, a model that cannot be copied or that fails in training: each is said."""
    x, y = batch
    uncopied = plain(1)
    uncopied.held = torch.ones(1, requires_grad=True) * 2

    class FailsInEval(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = plain(1)

        def forward(self, x: Tensor) -> Tensor:
            assert self.training, "only for training"
            return self.net(x)

    with pytest.raises(BatchError, match="inputs alone"):
        mend(plain(1), x)
    with pytest.raises(BatchError, match="has 4 samples"):
        mend(plain(1), (x[:4], y[:4]))
    with pytest.raises(ModelError, match="cannot be copied"):
        mend(uncopied, batch)
    with pytest.raises(ModelError, match="Training the network as it is raised AssertionError: only for training"):
        mend(FailsInEval(), batch, asked=Asked(steps=2))


def test_an_optimizer_that_is_none_is_refused(plain: Plain, batch: Pair) -> None:
    """A name in place of an optimizer, and one of another model, are errors in words, as of a preflight."""
    with pytest.raises(ModelError, match="`optimizer` is a str"):
        mend(plain(1), batch, optimizer="adam")  # pyrefly: ignore[bad-argument-type]
    with pytest.raises(ModelError, match="moves no parameter of this model"):
        mend(plain(1), batch, optimizer=torch.optim.Adam(plain(1).parameters()))


def test_the_rate_that_was_proved_is_in_the_code(plain: Plain, batch: Pair, data: list[Pair]) -> None:
    """A network that only its rate keeps from training is mended by another, and the code to paste has the one that was best."""
    model = plain(2)
    fix = mend(model, batch, data=data, asked=SHORT, optimizer=torch.optim.Adam(model.parameters(), lr=10.0))

    assert fix.proved is not None
    assert fix.proved.remedy.name == "change_rate"
    assert fix.proved.trial is not None
    assert f"lr={fix.proved.trial.learning_rate:g})" in fix.code


def test_another_seed_is_in_the_code(sick: nn.Sequential, batch: Pair, data: list[Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    """The seed that was asked for is the one that the pasted code draws with."""
    only(monkeypatch, right=with_gain(1.0))
    fix = mend(sick, batch, data=data, asked=SHORT, seed=5)
    names = {"model": deepcopy(sick)}
    exec(fix.code, names)  # what a user does with it

    assert "seed=5" in fix.code
    assert fix.model is not None
    assert torch.equal(names["model"](batch[0]), fix.model(batch[0]))


class Plain50(nn.Module):
    """Layers in a ModuleList with the activation called by the user."""

    def __init__(self, depth: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.stem, self.layers = nn.Linear(64, 64), nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
        self.head, self.activation = nn.Linear(64, 10), activation

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.stem(x))
        for layer in self.layers:
            x = self.activation(layer(x))
        return self.head(x)


class Branch(nn.Module):
    """x + scale · f(x)."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.up, self.down, self.scale = nn.Linear(64, 64), nn.Linear(64, 64), scale

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.down(torch.relu(self.up(x)))


class Two(nn.Module):
    """Two layers in one block, without a branch."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.second(torch.tanh(self.first(x))))


class Blocks(nn.Module):
    """Blocks in a ModuleList between a stem and a readout."""

    def __init__(self, make: Callable[[], nn.Module], depth: int) -> None:
        super().__init__()
        self.stem, self.blocks, self.head = nn.Linear(64, 64), nn.ModuleList(make() for _ in range(depth)), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Images(nn.Module):
    """A plain convolutional network on 8 × 8 pictures."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 12, 3, padding=1, stride=2)
        self.blocks = nn.Sequential(*(nn.Sequential(nn.Conv2d(12, 12, 3, padding=1), nn.ReLU()) for _ in range(depth)))
        self.head = nn.Linear(12 * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(torch.relu(self.stem(x.reshape(-1, 1, 8, 8)))).flatten(1))


def sequential(activation: type[nn.Module], depth: int, gain: float | None = None) -> nn.Sequential:
    """Return a plain stack, at a gain if one is given."""
    model = nn.Sequential(*[part for _ in range(depth) for part in (nn.Linear(64, 64), activation())], nn.Linear(64, 10))
    for layer in model[::2]:
        if gain is not None:
            nn.init.normal_(layer.weight, 0, gain / 8)
            nn.init.zeros_(layer.bias)
    return model


STARTS = {"initialise_textbook", "initialise", "initialise_orthogonal", "initialise_by_measurement"}
# Each with the causes of which one must be named first, and the remedies of which one must be proved.
SICK: dict[str, tuple[Callable[[], nn.Module], set[str], set[str]]] = {
    "sigmoid, 20 deep": (lambda: sequential(nn.Sigmoid, 20), {"vanishing_gradient"}, {"swap_activation", "add_residual"}),
    "tanh, gain 3": (lambda: sequential(nn.Tanh, 30, 3.0), {"exploding_gradient"}, STARTS),
    "ReLU, 50 deep": (lambda: sequential(nn.ReLU, 50), {"vanishing_gradient"}, {"add_residual"}),
    "ReLU called by the user, 50 deep": (lambda: Plain50(50, torch.relu), {"vanishing_gradient"}, {"add_residual"}),
    "ReLU, gain 3": (lambda: sequential(nn.ReLU, 30, 3.0), {"exploding_signal"}, STARTS | {"add_residual"}),
    "branches times 30": (
        lambda: Blocks(lambda: Branch(30.0), 20),
        {"residual_branch_imbalance"},
        {"initialise_stream", "initialise_by_measurement", "scale_branches", "zero_branches"},
    ),
    "two layers in a block": (lambda: Blocks(Two, 25), {"vanishing_gradient"}, STARTS | {"add_residual"}),
    "convolutions, 30 deep": (
        lambda: Images(30),
        {"vanishing_gradient"},
        {"initialise", "initialise_orthogonal", "add_residual"},
    ),
}
FAST = ("sigmoid, 20 deep", "tanh, gain 3")


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in SICK])
def test_sick_networks_of_users_are_mended(name: str) -> None:
    """On real digits: the cause is named, a sensible remedy is proved, and its code runs on the user's own class."""
    source = digits()
    batches = list(islice(zip(source.train_inputs.split(64), source.train_targets.split(64), strict=True), 20))
    make, causes, remedies = SICK[name]
    torch.manual_seed(0)
    model = make()

    fix = mend(model, batches[0], data=batches)

    assert fix.before.findings[0].cause in causes
    assert not fix.trial_before.trains
    assert fix.proved is not None, str(fix)
    assert fix.proved.remedy.name in remedies
    names: dict[str, Any] = {"model": deepcopy(model)} | ({"inputs": batches[0][0]} if "# inputs:" in fix.code else {})
    exec(fix.code, names)  # what a user does with it
    assert fix.model is not None
    assert torch.equal(names["model"](batches[0][0]), fix.model(batches[0][0]))
