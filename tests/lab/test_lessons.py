"""The lessons: every number is computed, and every figure turns."""

import re
from dataclasses import replace
from math import log10

import numpy as np
import pytest

from fathometer.data import random_hierarchy
from fathometer.errors import SpecError
from fathometer.lab.lessons import LESSONS, lesson, lessons_table
from fathometer.lab.lessons.folklore import random_pieces
from fathometer.lab.lessons.four_depths import RECIPES, arriving
from fathometer.lab.lessons.hierarchies import inputs_that_exist, rules_to_learn
from fathometer.lab.setting import read_setting
from fathometer.theory import forecast

NAMES = re.compile(r"GPT-3")  # digits that are part of a name
GAP = re.compile(r"\{(\w+)\}")


def words_of(name: str) -> str:
    """Return all that a lesson says."""
    one = LESSONS[name]
    return " ".join([one.title, one.claim, one.task, *one.prose])


@pytest.mark.parametrize("name", LESSONS)
def test_no_number_is_typed(name: str) -> None:
    """The words of a lesson hold no digit; each number is a gap, and each gap is filled."""
    text = words_of(name)
    numbers = lesson(name)["numbers"]

    assert re.findall(r"\d", NAMES.sub("", GAP.sub("", text))) == []
    assert set(GAP.findall(text)) - set(numbers) == set()
    assert len(GAP.findall(text)) >= 3


@pytest.mark.parametrize("name", LESSONS)
def test_the_slider_turns_numbers_and_figure(name: str) -> None:
    """At two ends of its slider a lesson shows other numbers and another figure, all of them finite."""
    slider = LESSONS[name].slider
    far = 12 if name == "the-transformer-block" else slider.most  # 96 of its blocks take seconds where every type is checked
    ends = [lesson(name, end) for end in (slider.least, far)]

    assert ends[0]["numbers"] != ends[1]["numbers"]
    assert ends[0]["pictures"] != ends[1]["pictures"]
    for end in ends:
        values = [y for picture in end["pictures"] for line in picture["lines"] for _, y in line["points"] if y is not None]
        assert np.isfinite(values).all()
        assert len(values) >= 2


@pytest.mark.parametrize("value", ["3", True, None, float("nan"), -5, 1e9, []])
def test_a_slider_stays_within_its_bounds(value: object) -> None:
    """A place where no slider can stand is refused; none at all is where it begins."""
    if value is None:
        assert lesson("what-goes-wrong", None)["value"] == LESSONS["what-goes-wrong"].slider.first
        return
    with pytest.raises(SpecError):
        lesson("what-goes-wrong", value)


def test_there_are_eight_and_each_opens_a_setting() -> None:
    """The lessons cover what a first lesson claims, and the settings that they open are settings of the lab."""
    table = lessons_table()

    assert len(table) == 8
    assert table[1]["title"] == "1, 5, 50, 96 layers"
    assert all(read_setting(row["opens"]["setting"]).to_dict() == row["opens"]["setting"] for row in table)
    assert all(row["papers"] for row in table)


def test_what_arrives_is_that_of_a_network_of_that_depth() -> None:
    """One deep forecast tells what arrives at layer 1 of every shallower network: it is that network's own forecast."""
    for recipe, spec in RECIPES.items():
        own = forecast(replace(spec, depth=20), correlation=0.47).values["gradient"]
        assert arriving(recipe)[19] == pytest.approx(own[0] / own[-1], rel=1e-6)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_the_toy_is_the_task(levels: int) -> None:
    """The counts of the lesson are those of the data: inputs that exist, and rules that make them."""
    toy = random_hierarchy(classes=8, symbols=8, synonyms=4, levels=levels, branching=2)

    assert 10 ** inputs_that_exist(levels) == pytest.approx(toy.num_data)
    assert rules_to_learn(levels) == sum(rules.shape[0] * rules.shape[1] for rules in toy.rules)


def test_random_pieces_are_counted_right() -> None:
    """One layer of n units on a line has at most n + 1 pieces, and random depth does not multiply them."""
    shallow, deep = random_pieces(32, 1), random_pieces(4, 8)

    assert 15 < shallow <= 33
    assert deep < shallow


def test_the_best_size_is_the_bottom_of_the_valley() -> None:
    """A larger and a smaller network of the same compute both lose; about 18 tokens a parameter are best at Chinchilla's."""
    shown = lesson("the-whole-recipe", log10(5.88e23))
    valley = shown["pictures"][0]
    losses = dict(valley["lines"][0]["points"])

    assert min(losses, key=lambda size: losses[size]) == pytest.approx(valley["mark"], abs=0.15)
    assert losses[min(losses)] > min(losses.values()) < losses[max(losses)]
    assert float(shown["numbers"]["ratio"]) == pytest.approx(18, abs=1)
