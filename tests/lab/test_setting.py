"""The controls, checked, and the network that follows from them."""

from dataclasses import replace

import pytest

from fathometer.errors import SpecError
from fathometer.lab.controls import ALLOWED, CHOICES, NUMBERS, idle
from fathometer.lab.presets import BEGINNINGS, FAILING
from fathometer.lab.setting import Setting, asked_of, read_setting, spec_of
from fathometer.lab.tasks import TASKS
from fathometer.lab.work.bench import material_of
from fathometer.networks import build
from fathometer.spec import ConvNet, Mlp, Transformer

GOOD = {
    "mlp": Setting(),
    "convnet": Setting(family="convnet", depth=20, width=8, activation="relu", residual="plain", norm="batch", init="he"),
    "transformer": Setting(
        family="transformer", task="english", depth=4, width=32, activation="gelu", residual="plain", norm="layer", init="gpt2"
    ),
}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([], "a list"),
        ({"dept": 3}, '"depth"'),
        ({"depth": 0}, "1 to 1000"),
        ({"depth": 1001}, "1 to 1000"),
        ({"depth": 2.5}, "whole number"),
        ({"depth": True}, "True"),
        ({"depth": "50"}, "50"),
        ({"rate": float("nan")}, "nan"),
        ({"rate": 1e400}, "inf"),
        ({"activation": "rleu"}, '"relu"'),
        ({"activation": ["relu"]}, "relu"),
        ({"family": "transformer"}, "english"),
        ({"family": "convnet", "norm": "rms", "residual": "plain", "init": "he"}, '"rms"'),
        ({"init": "fixup"}, "plain"),
        ({"init": "mup", "optimizer": "sgd"}, "Adam"),
    ],
)
def test_a_wrong_setting_is_refused_in_words(table: object, words: str) -> None:
    """A control that is not there, a value out of bounds and a pair that does not go together are named, with a way out."""
    with pytest.raises(SpecError) as refused:
        read_setting(table)

    assert words in str(refused.value)
    assert refused.value.mend


@pytest.mark.parametrize("family", GOOD)
def test_a_setting_comes_back_as_it_was(family: str) -> None:
    """What the page sends is what is read, and the network of each family can be built from it."""
    setting = read_setting(GOOD[family].to_dict())

    assert setting == GOOD[family]
    assert sum(parameter.numel() for parameter in build(spec_of(setting), device="meta").parameters()) > 0


@pytest.mark.parametrize("family", GOOD)
def test_every_offered_choice_can_be_built(family: str) -> None:
    """No option that the page offers for a family leads to a network that cannot exist, or that training refuses."""
    for name in ("activation", "norm", "place", "residual", "init", "optimizer"):
        for option in ALLOWED[family].get(name, tuple(CHOICES[name])):
            beside = {"residual": "plain"} if option == "fixup" else {}
            read = read_setting({**GOOD[family].to_dict(), **beside, name: option})
            assert isinstance(spec_of(read), Mlp | ConvNet | Transformer)
            assert asked_of(read).steps == 200


@pytest.mark.parametrize(("asked", "given"), [(1, 8), (8, 8), (50, 50), (52, 50), (54, 56), (1000, 998)])
def test_a_convnet_takes_the_nearest_depth_it_can_have(asked: int, given: int) -> None:
    """The depth slider of a convnet snaps to 6n + 2."""
    assert read_setting({**GOOD["convnet"].to_dict(), "depth": asked}).depth == given


@pytest.mark.parametrize(
    ("norm", "place", "kind"),
    [
        ("none", "before", "plain"),
        ("layer", "before", "pre-norm"),
        ("layer", "after", "post-norm"),
        ("rms", "both", "peri-norm"),
    ],
)
def test_the_norms_place_decides_the_residual_kind(norm: str, place: str, kind: str) -> None:
    """Where the norm stands in a residual stream is what the spec calls its residual kind."""
    spec = spec_of(read_setting({"residual": "plain", "norm": norm, "place": place, "init": "he"}))

    assert spec.residual == kind


def test_a_control_that_is_idle_changes_nothing() -> None:
    """A control that the page rests, with a reason, gives the same network wherever it stands; one that works does not."""
    plain, stream = Setting(), Setting(residual="plain", norm="layer")

    assert set(idle(plain)) >= {"strength", "place"}
    assert spec_of(replace(plain, place="after")) == spec_of(plain)
    assert idle(stream) == {}
    assert spec_of(replace(stream, place="after")) != spec_of(stream)
    assert spec_of(replace(stream, strength=0.5)) != spec_of(stream)


def test_the_beginnings_are_the_four_depths() -> None:
    """One, five, fifty and ninety-six layers; the one that fails is the plain one of fifty."""
    assert [one.setting.depth for one in BEGINNINGS.values()] == [1, 5, 50, 96]
    assert BEGINNINGS[FAILING].setting.residual == "none"
    assert all(read_setting(one.setting.to_dict()) == one.setting for one in BEGINNINGS.values())


def test_numbers_begin_within_their_bounds() -> None:
    """Where a control begins is a value that it may have."""
    assert [name for name, one in NUMBERS.items() if not one.least <= one.first <= one.most] == []


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_what_its_data_are(name: str) -> None:
    """The sizes that theory reads without any data are those of the data themselves, and so is the inputs' cosine."""
    task = TASKS[name]
    setting = replace(GOOD[task.families[0]], task=name)
    inputs, targets = material_of(setting).train

    assert int(targets.max()) < task.outputs
    assert int(targets.max()) >= task.outputs - 2  # the rarest word may be missing
    if task.context:
        assert tuple(inputs.shape[1:]) == (task.context,)
        return
    assert tuple(inputs.shape[1:]) == (task.inputs,)
    assert task.inputs in (1, 64, task.channels * task.side**2)
    some = inputs[:256] / inputs[:256].norm(dim=1, keepdim=True)
    cosine = float(((some @ some.T).sum() - len(some)) / (len(some) * (len(some) - 1)))
    assert cosine == pytest.approx(task.correlation, abs=0.05)  # of 256 inputs
