"""A plan is of one piece: what it says of budget, network, data and memory agrees."""

import json
import re
from dataclasses import replace

import pytest

from fathometer.errors import SpecError
from fathometer.scaling import (
    CHIPS,
    OPINIONS,
    PUBLISHED,
    disagreement,
    find_chip,
    fit_law,
    num_parameters,
    optimum,
    plan,
    training_flops,
)
from fathometer.scaling.layout import layout_for
from fathometer.scaling.optimum import worth_of
from fathometer.scaling.shapes import shape_for
from fathometer.spec import Transformer, load_spec, preset

LIKE = Transformer(context=2048, tied=False)


def test_a_plan_spends_its_budget() -> None:
    """The exact operations of the network on its tokens are the budget; parameters are near the law's optimum."""
    found = plan(1e21)

    assert found.tokens * training_flops(found.spec) / found.spec.context == pytest.approx(1e21, rel=1e-9)
    assert found.parameters == pytest.approx(found.best.parameters.value, rel=0.08)  # whole blocks and whole heads
    assert found.steps * found.batch_sequences * found.spec.context == pytest.approx(found.tokens, rel=0.01)
    assert found.best.parameters.low < found.best.parameters.value < found.best.parameters.high
    assert (found.spec.init, found.spec.base_width, found.spec.base_depth) == ("completep", found.proxy.width, found.proxy.depth)
    assert found.spec.head_width == found.proxy.head_width
    assert found.chip_hours * find_chip("h100").useful_flops_per_hour == pytest.approx(1e21)


def test_chips_and_hours_are_a_budget() -> None:
    """64 chips for 72 hours are the same plan as their operations."""
    budget = 64 * 72 * CHIPS["a100"].useful_flops_per_hour
    one, other = plan(chips=64, hours=72.0, chip="a100"), plan(budget, chips=64, chip="a100")

    assert one.flops == pytest.approx(budget)
    assert (one.spec, one.layout) == (other.spec, other.layout)
    assert plan(chips=64, hours=72.0, chip=replace(CHIPS["a100"], utilisation=0.2)).flops == pytest.approx(budget / 2)


@pytest.mark.parametrize("flops", [1e18, 1e20, 1e22, 1e24])
def test_more_budget_is_more_of_everything(flops: float) -> None:
    """Ten times the budget has more parameters, more tokens, more depth and less loss."""
    small, large = plan(flops), plan(10 * flops)

    assert small.parameters < large.parameters
    assert small.tokens < large.tokens
    assert small.spec.depth <= large.spec.depth
    assert small.loss.value > large.loss.value


def test_few_data_are_read_again_and_grow_the_network_less() -> None:
    """Where tokens are few they are read again, the loss is higher, and parameters beyond those that they call for are few."""
    free, few = plan(1e20), plan(1e20, tokens=1e9)

    assert free.epochs == 1
    assert few.epochs > 10
    assert few.loss.value > free.loss.value
    assert few.parameters < free.parameters
    assert any("are read" in note for note in few.notes)
    assert plan(1e20, tokens=1e13).spec == free.spec  # the control: more than are needed change nothing


def test_repeated_tokens_are_worth_less_each_time() -> None:
    """Up to the new ones a token counts in full, four readings nearly so, and no number of readings more than 1 + R* times."""
    assert float(worth_of(5e8, 1e9)) == 5e8
    assert float(worth_of(4e9, 1e9)) == pytest.approx(3.726e9, rel=1e-3)
    assert float(worth_of(1e15, 1e9)) == pytest.approx(16.39e9, rel=1e-6)


def test_every_opinion_is_shown_and_they_disagree() -> None:
    """All opinions stand in the text, those that name a shape with one, each near the parameters; deepest and flattest differ."""
    found = plan(1e21)
    text = str(found)

    assert [name for name, opinion in OPINIONS.items() if name not in text or opinion.says not in text] == []
    shapes = {name: spec for name, spec in found.opinions.items() if spec is not None}
    assert len(shapes) >= 5
    for spec in shapes.values():
        assert num_parameters(spec) == pytest.approx(found.best.parameters.value, rel=0.1)
    depths = [spec.depth for spec in shapes.values()]
    assert max(depths) > 2 * min(depths)
    assert set(found.laws) == set(PUBLISHED)


def test_the_published_laws_disagree_by_an_order_of_magnitude() -> None:
    """At Chinchilla's budget they ask for 0.1 to 100 tokens for each parameter; the replication for 18."""
    ratios = {name: tokens / parameters for name, (parameters, tokens) in disagreement(5.88e23).items()}

    assert ratios["besiroglu2024"] == pytest.approx(18.38, rel=5e-3)
    assert ratios["kaplan2020"] < 1 < 50 < ratios["hoffmann2022-rounded"]


@pytest.mark.parametrize("name", ["gpt2", "gpt3-2.7b", "gpt3-175b"])
def test_gpt3s_shapes_come_out_of_gpt3s_sizes(name: str) -> None:
    """For the parameters of a GPT the shape of GPT-3 is near its depth."""
    known = preset(name)
    found = shape_for(num_parameters(known), OPINIONS["gpt3"], replace(known))

    assert found.depth == pytest.approx(known.depth, rel=0.35)  # table 2.1 itself goes from 43 to 128 times as wide as deep
    assert num_parameters(found) == pytest.approx(num_parameters(known), rel=0.1)


def test_memory_is_laid_out_so_that_it_fits() -> None:
    """The fewest chips that hold it are found; on fewer it does not fit and is said not to; recomputing saves activations."""
    spec = plan(1e23).spec
    fewest = layout_for(spec, 4e6, CHIPS["a100"], None)

    assert fewest.fits
    assert fewest.chips > 1
    assert not layout_for(spec, 4e6, CHIPS["a100"], fewest.chips // 2).fits
    assert fewest.sequences_at_once * fewest.accumulate * fewest.chips >= 4e6 / spec.context - fewest.chips
    crowded, roomy = (layout_for(preset("gpt3-13b"), 1e6, CHIPS["rtx-4090"], chips) for chips in (16, 64))
    assert (crowded.recompute, roomy.recompute) == (True, False)
    assert any("does not fit" in note for note in plan(1e24, chips=1).notes)


def test_a_plan_can_be_kept(tmp_path) -> None:
    """The TOML is read back as the network; the JSON has the schema, every opinion and every law."""
    found = plan(
        1e19, like=Transformer(context=512, tied=False, gated=True, norm="rms", positions="rope", kv_heads=3, mlp_width=2048)
    )
    (tmp_path / "plan.toml").write_text(found.to_toml(), encoding="utf-8")
    table = json.loads(found.to_json())

    assert load_spec(tmp_path / "plan.toml") == found.spec
    assert (table["schema"], table["parameters"]) == ("fathometer.plan/1", found.parameters)
    assert set(table["opinions"]) == set(OPINIONS)


def test_a_law_of_ones_own_plans_too() -> None:
    """A law fitted to a user's runs gives the plan, with its own interval."""
    runs = [
        {"parameters": n, "tokens": d, "loss": 1.5 + 50 / n**0.3 + 90 / d**0.3} for n in (1e7, 3e7, 1e8) for d in (1e9, 4e9, 2e10)
    ]
    law = fit_law(runs, starts=30, resamples=20)

    assert plan(1e20, law=law).best.tokens_per_parameter.value == pytest.approx((90 / 50) ** (1 / 0.3), rel=0.02)
    with pytest.raises(SpecError, match="A budget is spent on parameters and tokens"):
        optimum(replace(law, form=replace(law.form, fixed={0: "width"})), 1e20)


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({}, "Neither `flops` nor `hours`"),
        ({"flops": 1e20, "chips": 2, "hours": 3.0}, "Both `flops` and `hours`"),
        ({"flops": -1.0}, "The flops are -1.0"),
        ({"flops": float("nan")}, "The flops are nan"),
        ({"flops": float("inf")}, "The flops are inf"),
        ({"flops": 1e60}, "The flops are 1e+60"),
        ({"flops": 10.0}, "The budget is 10 FLOP"),
        ({"hours": 3.0}, "`chips` is not given"),
        ({"chips": 0, "hours": 3.0}, "`chips` is 0"),
        ({"chips": 2, "hours": -3.0}, "The hours are -3.0"),
        ({"flops": 1e20, "tokens": -5.0}, "The unique tokens are -5.0"),
        ({"flops": 1e20, "tokens": 100.0}, "There are 100 tokens"),
        ({"flops": 1e20, "chip": "h10"}, 'Did you mean "h100"?'),
        ({"flops": 1e20, "law": "besiroglu"}, 'Did you mean "besiroglu2024"?'),
        ({"flops": 1e20, "shape": "gpt"}, 'Did you mean "gpt3"?'),
        ({"flops": 1e20, "shape": "kaplan2020"}, '"kaplan2020" names no shape'),
        ({"flops": 2e13, "like": Transformer(context=100_000, vocabulary=10**6)}, "FLOP are"),
    ],
)
def test_nonsense_budgets_are_errors(wishes: dict[str, object], words: str) -> None:
    """What cannot be spent is said to be so, with what was given and what would do."""
    with pytest.raises(SpecError, match=re.escape(words)):
        plan(**wishes)


def test_a_share_of_a_chip_is_a_share() -> None:
    """A utilisation of nothing, or of more than all, is refused."""
    for share in (0.0, 1.5, -0.1):
        with pytest.raises(SpecError, match="`utilisation`"):
            find_chip("h100", share)
    assert find_chip("h100", 0.5).useful_flops_per_hour == pytest.approx(989e12 * 1800)
