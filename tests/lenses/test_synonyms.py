"""Sensitivity to synonyms is what it says on networks whose invariances are built in."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fathometer.data import expand, parse, random_hierarchy
from fathometer.lenses import hierarchy_truth, probe_levels, synonym_sensitivity
from fathometer.lenses.synonyms import other_synonyms

RULES = random_hierarchy(classes=6, symbols=6, synonyms=3, levels=3, branching=2, seed=0)


class Reader(nn.Module):
    """Reads the hierarchy exactly: after step k it holds the one-hot symbols k levels above the input."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ModuleList(Step(level) for level in range(3))

    def forward(self, tokens: Tensor) -> Tensor:
        signal = nn.functional.one_hot(tokens, 6).float()
        for step in self.steps:
            signal = step(signal)
        return signal[:, 0]


class Step(nn.Module):
    """Symbols of one level from tuples of the level below, by the rules."""

    def __init__(self, level: int) -> None:
        super().__init__()
        rules = torch.from_numpy(RULES.rules[2 - level])
        table = torch.zeros(6, 6, dtype=torch.long)
        for symbol, tuples in enumerate(rules):
            for first, second in tuples:
                table[first, second] = symbol
        self.register_buffer("table", table)

    def forward(self, signal: Tensor) -> Tensor:
        symbols = signal.argmax(-1).unflatten(1, (-1, 2))
        return nn.functional.one_hot(self.table[symbols[..., 0], symbols[..., 1]], 6).float()


def test_a_network_that_reads_the_hierarchy_forgets_level_by_level() -> None:
    """After step k nothing is left of the synonyms of the k lowest levels, and all of the others: rank correlation 1."""
    found = synonym_sensitivity(Reader(), RULES, form="tokens", layers=["steps.*"], pairs=256)

    for level in range(3):
        assert found.sensitivity[level, level + 1 :] == pytest.approx(0, abs=1e-9)
        assert found.sensitivity[level, : level + 1].min() > 0.5
    assert (found.rank_correlation, found.low, found.high) == pytest.approx((1, 1, 1))


def test_a_network_that_keeps_all_has_no_order() -> None:
    """The control: random layers tell all synonyms apart at all depths; the depths are tied and the correlation is 0."""
    torch.manual_seed(0)
    model = nn.Sequential(*[part for _ in range(4) for part in (nn.Linear(48, 48), nn.ReLU())])
    found = synonym_sensitivity(model, RULES, pairs=256)

    assert found.rank_correlation == 0
    assert set(found.depth) == {len(found.points)}
    assert found.sensitivity.min() > 0.5


def test_other_synonyms_mean_the_same() -> None:
    """What is written with other synonyms of level k has the same symbols above it, and others in every tuple of it."""
    draw = np.random.default_rng(0)
    targets, choices = draw.integers(6, size=50), draw.integers(3, size=(50, RULES.num_choices))
    before = expand(RULES, targets, choices)
    for level in range(3):
        after = parse(RULES, expand(RULES, targets, other_synonyms(RULES, choices, level, draw))[-1])
        kept = 3 - level  # symbols of the class, and of the levels above the tuples that changed
        for above in range(kept):
            np.testing.assert_array_equal(after[above], before[above])
        pairs = [symbols[kept].reshape(50, -1, 2) for symbols in (before, after)]
        assert (pairs[0] != pairs[1]).any(-1).all()


def test_probes_read_the_latents_where_they_are() -> None:
    """Linear probes of the leftmost symbol of each level are right from the layer that holds it, and not before."""
    probes = probe_levels(Reader(), hierarchy_truth(RULES, form="tokens"), kind="ridge", layers=["steps.*"]).probes
    flat = [probes[name].accuracy for name in ("level 1", "level 2", "class")]

    assert [row[place] for place, row in enumerate(flat, 1)] == pytest.approx([1, 1, 1])
    assert all(row[place] < 0.9 for place, row in enumerate(flat))
