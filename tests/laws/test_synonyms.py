"""A deep network forgets synonyms level by level; an untrained one and a shallow one do not."""

import pytest
from benchmarks.synonyms import SAMPLES, SIZES, networks

import fathometer as fm
from fathometer.data import hierarchy, random_hierarchy
from fathometer.lenses import Synonyms, synonym_sensitivity
from fathometer.records import Asked

LAYERS = ["blocks.?"]


def forgotten(name: str, steps: int | None) -> Synonyms:
    """Return what a network forgets after so many steps, or as it starts."""
    spec, rules = networks()[name], random_hierarchy(**SIZES)
    if steps is None:
        return synonym_sensitivity(fm.build(spec), rules, layers=LAYERS)
    data = hierarchy(**SIZES, samples=SAMPLES)
    trained = fm.train(spec, Asked(steps=steps, batch_size=128), data=data, progress=lambda step, total, loss: None)
    assert trained.record.held_out_accuracy is not None
    assert trained.record.held_out_accuracy > 0.9
    return synonym_sensitivity(trained.model, rules, layers=LAYERS)


@pytest.mark.slow
def test_layers_forget_synonyms_in_the_order_of_their_levels() -> None:
    """Rank correlation of level and depth near 1, its interval above 0, in eight trained layers (Cagnetta et al. 2024)."""
    found = forgotten("deep", 500)

    assert found.rank_correlation > 0.9
    assert found.low > 0.5


@pytest.mark.slow
def test_untrained_and_shallow_networks_forget_in_no_order() -> None:
    """The controls: at its start the same network tells all synonyms apart, and so does one trained hidden layer."""
    for found in (forgotten("deep", None), forgotten("shallow", 300)):
        assert found.rank_correlation == 0
        assert set(found.depth) == {len(found.points)}
