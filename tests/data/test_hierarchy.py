"""The Random Hierarchy Model has the counts of its paper, and one meaning only."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from fathometer.data import Hierarchy, expand, hierarchy, parse, random_hierarchy
from fathometer.errors import DataError


def everything(rules: Hierarchy) -> tuple[np.ndarray, np.ndarray]:
    """Return all inputs of a small model and their classes, written by going through all choices."""
    choices = np.array(list(product(range(rules.synonyms), repeat=rules.num_choices)), dtype=np.int64)
    targets = np.repeat(np.arange(rules.classes), len(choices))
    return expand(rules, targets, np.tile(choices, (rules.classes, 1)))[-1], targets


def slow_input(rules: Hierarchy, target: int, choices: list[int]) -> list[int]:
    """Return one input by rewriting symbol after symbol."""
    symbols, left = [target], list(choices)
    for level in rules.rules:
        symbols = [int(lower) for symbol in symbols for lower in level[symbol][left.pop(0)]]
    return symbols


def ambiguous(rules: Hierarchy) -> Hierarchy:
    """Return the same rules, except that the first two classes share one way to be written."""
    top = rules.rules[0].copy()
    top[1, 0] = top[0, 0]
    return replace(rules, rules=(top, *rules.rules[1:]))


def test_the_counts_are_those_of_the_paper(seed: int) -> None:
    """Four classes, four symbols, two synonyms, two levels of pairs: 32 different inputs of four symbols, one class each."""
    rules = random_hierarchy(classes=4, symbols=4, synonyms=2, levels=2, branching=2, seed=seed)
    inputs, targets = everything(rules)

    assert (rules.num_data, rules.length, rules.num_choices) == (32, 4, 3)
    assert len({tuple(row) for row in inputs.tolist()}) == len(inputs) == 32
    assert len({(*row, target) for row, target in zip(inputs.tolist(), targets.tolist(), strict=True)}) == 32


@pytest.mark.parametrize(
    ("sizes", "num_data"),
    [((8, 8, 4, 3, 2), 8 * 4**7), ((3, 6, 4, 3, 2), 3 * 4**7), ((2, 3, 3, 2, 3), 2 * 3**4), ((5, 4, 1, 3, 2), 5)],
)
def test_the_number_of_data_is_classes_times_synonyms_to_the_number_of_symbols_rewritten(
    sizes: tuple[int, ...], num_data: int
) -> None:
    """P_max = classes · synonyms^((length - 1) / (branching - 1))."""
    names = ("classes", "symbols", "synonyms", "levels", "branching")
    rules = random_hierarchy(**dict(zip(names, sizes, strict=True)))

    assert rules.num_data == num_data == rules.classes * rules.synonyms ** ((rules.length - 1) // (rules.branching - 1))


def test_no_tuple_is_written_twice_within_a_level(seed: int) -> None:
    """All synonyms of all symbols of a level differ, also where they use up every tuple that exists."""
    for synonyms in (2, 4):
        rules = random_hierarchy(classes=4, symbols=4, synonyms=synonyms, levels=3, branching=2, seed=seed)
        for level in rules.rules:
            assert len({tuple(pair) for pair in level.reshape(-1, 2).tolist()}) == 4 * synonyms


def test_expanding_at_once_equals_rewriting_symbol_after_symbol(seed: int) -> None:
    """The arrays give what the plain loop gives."""
    rules = random_hierarchy(classes=3, symbols=5, synonyms=3, levels=3, branching=2, seed=seed)
    generator = np.random.default_rng(seed)
    targets, choices = generator.integers(3, size=20), generator.integers(3, size=(20, rules.num_choices))

    found = expand(rules, targets, choices)[-1].tolist()

    assert found == [slow_input(rules, int(target), row) for target, row in zip(targets, choices.tolist(), strict=True)]


def test_every_level_can_be_read_back(seed: int) -> None:
    """From the inputs alone `parse` finds the symbols of each level up to the class."""
    rules = random_hierarchy(classes=4, symbols=6, synonyms=3, levels=3, branching=3, seed=seed)
    generator = np.random.default_rng(seed)
    written = expand(rules, generator.integers(4, size=50), generator.integers(3, size=(50, rules.num_choices)))

    assert all((one == other).all() for one, other in zip(written, parse(rules, written[-1]), strict=True))


def test_rules_that_share_a_tuple_are_ambiguous(seed: int) -> None:
    """With one tuple given to two classes, some inputs have two classes: fewer different inputs, and `parse` says so."""
    rules = ambiguous(random_hierarchy(classes=4, symbols=4, synonyms=2, levels=2, branching=2, seed=seed))
    inputs, targets = everything(rules)
    of: dict[tuple[int, ...], set[int]] = {}
    for row, target in zip(inputs.tolist(), targets.tolist(), strict=True):
        of.setdefault(tuple(row), set()).add(target)

    assert len(of) == 28
    assert sorted(map(len, of.values())) == [1] * 24 + [2] * 4
    with pytest.raises(DataError, match="no meaning, or more than one"):
        parse(rules, inputs)


def test_a_tuple_that_no_rule_makes_has_no_meaning() -> None:
    """What is not of the language is refused, not guessed."""
    rules = random_hierarchy(classes=4, symbols=4, synonyms=2, levels=2, branching=2)
    known = {tuple(pair) for pair in rules.rules[1].reshape(-1, 2).tolist()}
    foreign = next(pair for pair in product(range(4), repeat=2) if pair not in known)

    with pytest.raises(DataError, match="no meaning"):
        parse(rules, np.array([[*foreign, *foreign]]))


def test_no_input_comes_twice_and_the_classes_are_even() -> None:
    """Training and held-out inputs are all different, and each class has about its share."""
    data = hierarchy(form="tokens", samples=2000)
    rows = [tuple(row) for row in torch.cat([data.train_inputs[:], data.test_inputs[:]]).tolist()]

    assert len(set(rows)) == len(rows) == 3000
    counts = torch.bincount(data.train_targets[:], minlength=8)
    # 250 each; five standard deviations of a binomial count are 74
    assert abs(counts - 250).max() < 74


def test_the_targets_are_the_classes_that_the_rules_say() -> None:
    """The data set's inputs, read back with rules of the same seed, give its targets."""
    data = hierarchy(form="tokens", seed=7)
    rules = random_hierarchy(classes=8, symbols=8, synonyms=4, levels=3, branching=2, seed=7)

    assert parse(rules, data.test_inputs[:].numpy())[0][:, 0].tolist() == data.test_targets[:].tolist()


def test_flat_inputs_are_the_tokens_one_hot_with_mean_0_and_std_1() -> None:
    """The largest of each symbol's inputs names it; the numbers are centred and scaled exactly."""
    tokens, flat = hierarchy(form="tokens"), hierarchy()
    inputs = flat.test_inputs[:]

    assert torch.equal(inputs.view(-1, 8, 8).argmax(dim=2), tokens.test_inputs[:])
    # float32 rounding
    assert inputs.mean(dim=1).abs().max() < 1e-6
    assert inputs.std(dim=1, unbiased=False).numpy() == pytest.approx(1, abs=1e-6)


def test_a_model_with_more_data_than_64_bits_can_number_is_drawn_too() -> None:
    """Ten classes, eight synonyms, five levels: 10 · 8^31 inputs, of which any number can be drawn."""
    data = hierarchy(classes=10, symbols=16, synonyms=8, levels=5, samples=100, form="tokens")

    assert data.facts["num_data"] == 10 * 8**31
    assert len({tuple(row) for row in data.train_inputs[:].tolist()}) == 100


def test_a_small_model_keeps_a_fifth_for_judging() -> None:
    """Where there are few inputs, all are used: four fifths to train on, the others held out."""
    data = hierarchy(classes=4, symbols=4, synonyms=2, levels=2)

    assert (data.facts["samples"], data.facts["held_out_samples"]) == (25, 7)


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({"synonyms": 9}, r"need more than 8\^2 tuples.*synonyms = 8"),
        ({"classes": 65, "synonyms": 1}, "at most 64"),
        ({"classes": 1}, "`classes` is 1"),
        ({"levels": 0}, "`levels` is 0"),
        ({"symbols": 2**20, "branching": 4}, "62 bits"),
        ({"classes": 4, "symbols": 4, "synonyms": 2, "levels": 2, "samples": 32}, "`samples` is 32. There are 32 different"),
        ({"samples": 0}, "`samples` is 0"),
        ({"form": "image"}, 'no form of hierarchy named "image"'),
    ],
)
def test_a_hierarchy_that_cannot_be_is_an_error(options: dict[str, int], given: str) -> None:
    """Too many synonyms for the tuples that exist, or too few of anything, is named with what would work."""
    with pytest.raises(DataError, match=given):
        hierarchy(**options)
