"""The answer: verdict, sentence, findings, profile, and how it is kept."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fathometer.diagnosis import Preflight, preflight
from fathometer.errors import FathometerError, ModelError, RecordError, SpecError, TargetError
from fathometer.networks import build
from fathometer.spec import Mlp

Pair = tuple[Tensor, Tensor]
Plain = Callable[..., nn.Sequential]


@pytest.fixture(scope="module")
def check() -> Preflight:
    """Return the preflight of a deep network that will not train."""
    return preflight("tanh-50@depth=25").named("deep")


def test_a_sick_network_is_told_from_a_healthy_one(check: Preflight) -> None:
    """Twenty-five tanh layers as torch starts them will not train, for a vanishing gradient; three will."""
    few = preflight("tanh-50@depth=3")

    assert (check.verdict, check.findings[0].cause) == ("will not train", "vanishing_gradient")
    assert check.sentence == check.findings[0].sentence
    assert (few.verdict, few.findings) == ("healthy", ())


def test_json_round_trips(check: Preflight, plain: Plain, batch: Pair) -> None:
    """What `to_json` writes, strict and with its schema, reads back as the same result."""
    for result in (check, preflight(plain(), (batch[0][:1], batch[1][:1])), preflight(Broken(), batch[0])):
        text = result.to_json()
        table = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not strict JSON"))

        assert table["schema"] == "fathometer.preflight/1"
        assert Preflight.from_json(text).to_json() == text
        assert Preflight.from_json(text).to_dict() == result.to_dict()


class Broken(nn.Module):
    """A network whose output is infinite, so that the result holds infinities."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) / 0


BROKEN: dict[str, Callable[[dict], object]] = {
    "another schema": lambda table: table | {"schema": "fathometer.mend/1"},
    "a future schema": lambda table: table | {"schema": "fathometer.preflight/2"},
    "no schema": lambda table: {name: value for name, value in table.items() if name != "schema"},
    "a list": lambda table: [table],
    "a missing part": lambda table: {name: value for name, value in table.items() if name != "notes"},
    "an unknown verdict": lambda table: table | {"verdict": "splendid"},
    "a profile that is a list": lambda table: table | {"profile": []},
    "an unknown column": lambda table: table | {"profile": table["profile"] | {"values": {"colour": [1.0]}}},
    "a column that is too short": lambda table: table | {"profile": table["profile"] | {"values": {"signal": [1.0]}}},
    "findings that are numbers": lambda table: table | {"findings": [1, 2]},
}


@pytest.mark.usefixtures("as_a_user_has_it")
@pytest.mark.parametrize("name", BROKEN)
def test_foreign_json_is_refused(name: str, check: Preflight) -> None:
    """JSON of anything else is a `RecordError`, whatever is wrong with it."""
    text = json.dumps(BROKEN[name](json.loads(check.to_json())))

    with pytest.raises(RecordError):
        Preflight.from_json(text)


@pytest.mark.parametrize("cut", [0, 1, 0.5, 0.99])
def test_truncated_json_is_refused(cut: float, check: Preflight) -> None:
    """A text that ends too early is a `RecordError`."""
    text = check.to_json()

    with pytest.raises(RecordError, match="not JSON"):
        Preflight.from_json(text[: int(cut * len(text)) if cut < 1 else int(cut)])


def test_layers_are_chosen_by_pattern(plain: Plain, batch: Pair) -> None:
    """One pattern or several name the depth points; none that matches is an error that names modules."""
    assert preflight(plain(), batch, layers="0").profile.points == ("0",)
    assert preflight(plain(), batch, layers=["[04]", "2"]).profile.points == ("0", "2", "4")
    with pytest.raises(ModelError, match="match no module"):
        preflight(plain(), batch, layers=["encoder.*"])


def test_ignored_causes_are_not_looked_for(check: Preflight) -> None:
    """A cause is silenced by name, alone or among others; an unknown one is refused with the nearest."""
    causes = [finding.cause for finding in check.findings]
    silent = preflight("tanh-50@depth=25", ignore=causes)

    assert causes
    assert silent.ignored == tuple(causes)
    assert {finding.cause for finding in silent.findings}.isdisjoint(causes)
    assert preflight("mlp-5", ignore="frozen_parameters").ignored == ("frozen_parameters",)
    with pytest.raises(SpecError, match='Did you mean "vanishing_gradient"'):
        preflight("mlp-5", ignore="vanishing_gradients")


def test_a_spec_brings_its_own_batch() -> None:
    """A preset's name, a spec, and the module built from it give the same numbers without a batch."""
    spec = Mlp(depth=4, width=32)
    named = preflight("mlp-5@depth=4,width=32")

    assert preflight(spec).profile == named.profile
    assert preflight(build(spec)).profile == named.profile
    assert named.profile.facts["batch_size"] == 64


@pytest.mark.parametrize("spec", [Mlp(inputs=7, outputs=3), Mlp(inputs=7, outputs=1)], ids=["classes", "one value"])
def test_a_spec_of_any_size_is_examined(spec: Mlp) -> None:
    """Where the digits do not fit, noise labelled by a teacher serves."""
    assert preflight(spec).verdict == "healthy"


def test_a_result_shows_itself(check: Preflight, tmp_path: Path) -> None:
    """As text the verdict comes first; in a notebook it is a frame; it draws itself and writes its page."""
    assert str(check).startswith("deep: WILL NOT TRAIN. ")
    assert check._repr_html_().startswith("<iframe")
    assert "vconcat" in check.figure().to_dict() or "layer" in check.figure().to_dict()
    assert check.save_html(tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(TargetError, match="no folder"):
        check.save_html(tmp_path / "no" / "page.html")


def test_an_optimizer_is_judged_by_its_first_step(plain: Plain, batch: Pair) -> None:
    """A rate a thousand times too large is found, a usual one is not, and none at all leaves the column out."""

    def causes(rate: float) -> list[str]:
        model = plain()
        check = preflight(model, batch, optimizer=torch.optim.Adam(model.parameters(), lr=rate))
        return [finding.cause for finding in check.findings]

    assert "update_size" in causes(1.0)
    assert "update_size" not in causes(1e-3)
    assert not preflight(plain(), batch).profile.known("update")


@pytest.mark.usefixtures("as_a_user_has_it")
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda model: torch.optim.Adam, "It must be a torch.optim.Optimizer"),
        (lambda model: torch.optim.Adam(nn.Linear(2, 2).parameters()), "moves no parameter of this model"),
        (lambda model: torch.optim.LBFGS(model.parameters()), "A step of LBFGS raised TypeError"),
    ],
    ids=["a class", "of another model", "that needs a closure"],
)
def test_an_optimizer_that_cannot_be_judged(make: Callable, words: str, plain: Plain, batch: Pair) -> None:
    """A class, another model's optimizer, and one that needs more than a gradient, are each said."""
    model = plain()

    with pytest.raises(ModelError, match=words):
        preflight(model, batch, optimizer=make(model))


@pytest.mark.usefixtures("as_a_user_has_it")
@pytest.mark.parametrize("model", [None, 3, nn.Linear, lambda x: x], ids=["None", "a number", "a class", "a function"])
def test_what_is_no_model(model: object, batch: Pair) -> None:
    """Anything but a module, a spec or a preset's name is refused."""
    with pytest.raises(ModelError, match=r"It must be an nn\.Module"):
        preflight(model, batch)


@pytest.mark.usefixtures("as_a_user_has_it")
@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, True, "0"])
def test_a_seed_that_no_generator_takes(seed: object, batch: Pair, plain: Plain) -> None:
    """A seed is a whole number that numpy and torch both take."""
    with pytest.raises(SpecError, match="`seed` is"):
        preflight(plain(), batch, seed=seed)


def test_a_module_without_a_batch(plain: Plain) -> None:
    """A module is examined on data: none is an error."""
    with pytest.raises(FathometerError, match="There is no batch"):
        preflight(plain())
