"""Questions are fair, places are the right ones, and probes of them see what was planted."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fathometer.data.language import CHARACTERS
from fathometer.errors import BatchError, DataError, ModelError, TargetError
from fathometer.lenses import (
    REFERENCES,
    GroundTruth,
    code_truth,
    english_truth,
    own_truth,
    probe_levels,
    represent_places,
    scene_truth,
    untrained_reference,
)
from fathometer.lenses.ground_truth import ask
from fathometer.lenses.references import find_reference
from fathometer.lenses.representations import at_places
from fathometer.lenses.token_truth import token_truth


def test_classes_are_asked_for_equally_often_and_rare_ones_not() -> None:
    """Each class has the same number of questions, about places where it is; what comes 50 times in all is left out."""
    draw = np.random.default_rng(0)
    labels = draw.choice(5, size=(200, 30), p=[0.5, 0.3, 0.1, 0.09, 0.01])
    level = ask("made up", labels, ("none", "a", "b", "c", "rare"))
    counts = np.bincount(level.labels)

    assert level.classes == ("a", "b", "c")
    assert len(set(counts.tolist())) == 1
    assert (labels[level.samples, level.places] == level.labels + 1).all()
    assert level.chance == pytest.approx(1 / 3)
    with pytest.raises(DataError, match="tells at least two apart"):
        ask("too few", np.ones((10, 3), dtype=int), ("none", "only"))


def test_a_coarser_map_gives_the_cell_over_the_place() -> None:
    """A pixel of a 4×4 image lies in one cell of a 2×2 map, and in one patch behind a class token."""
    cells = torch.arange(4.0).reshape(1, 1, 2, 2)
    tokens = torch.tensor([[9.0, 0, 1, 2, 3]])[..., None]
    rows, places = torch.zeros(16, dtype=torch.long), torch.arange(16)
    expected = [0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3]

    assert at_places(cells, rows, places, (4, 4))[:, 0].tolist() == expected
    assert at_places(tokens, rows, places, (4, 4))[:, 0].tolist() == expected
    with pytest.raises(ModelError, match="form a square"):
        at_places(torch.zeros(1, 7, 1), rows, places, (4, 4))


def test_places_of_many_batches_are_those_of_all_at_once(seed: int) -> None:
    """Vectors at chosen places, streamed, are those of one forward pass indexed by hand; tokens enter as their embedding."""
    model = untrained_reference("english", seed=1)
    tokens = torch.randint(0, 27, (10, 20), generator=torch.Generator().manual_seed(seed))
    samples, places = np.array([9, 0, 4]), np.array([3, 19, 0])
    found = represent_places(model, tokens.split(4), samples, places, shape=(20,))
    with torch.no_grad():
        stream = model.embedding(tokens) + model.positions.weight[:20]
        np.testing.assert_allclose(found.arrays[0], stream[samples, places], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.arrays[1], model.blocks[0](stream)[samples, places], rtol=1e-4, atol=1e-5)

    assert found.points[:2] == ("input", "blocks.0")


class Planted(nn.Module):
    """Layer 0 passes tokens on, layer 1 holds those of the place before, layer 2 forgets all."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList([nn.Identity(), nn.Identity(), nn.Identity()])

    def forward(self, tokens: Tensor) -> Tensor:
        one = self.parts[0](nn.functional.one_hot(tokens, 8).float())
        two = self.parts[1](one.roll(1, dims=1))
        return self.parts[2](torch.zeros_like(two))


def test_probes_find_what_was_planted_in_each_layer() -> None:
    """The token is read from layer 1, the one before from layer 2, from layer 3 nothing, and shuffled labels from none."""
    tokens = torch.randint(0, 8, (300, 12), generator=torch.Generator().manual_seed(0))
    truth = token_truth(tokens)
    assert truth is not None
    found = probe_levels(Planted(), truth, kind="ridge", layers=["parts.*"])
    accuracy = {name: probes.accuracy[1:] for name, probes in found.probes.items()}

    assert accuracy["this token"] == pytest.approx([1, 1 / 8, 1 / 8], abs=0.06)
    assert accuracy["the token before"] == pytest.approx([1 / 8, 1, 1 / 8], abs=0.06)
    assert max(accuracy["the next token"]) < 0.19
    assert max(max(probes.control) for probes in found.probes.values()) < 0.19
    assert found.probes["the token before"].expected.layer == pytest.approx(2, abs=0.1)
    assert found.probes["the next token"].expected.layer is None
    assert found.order[0] == ("this token", "the token before", "before")


def test_no_sample_is_on_both_sides() -> None:
    """What judges the probes comes of other samples than what fits them."""
    tokens = torch.randint(0, 4, (120, 10), generator=torch.Generator().manual_seed(0))
    truth = token_truth(tokens)
    assert truth is not None
    probes = probe_levels(Planted(), truth, kind="ridge", layers=["parts.0"]).probes["this token"]
    level = truth.levels[0]
    held = set(probes.groups.tolist())

    assert probes.num_train + probes.num_held_out == len(level.labels)
    assert sum(sample in held for sample in level.samples.tolist()) == probes.num_held_out
    assert 30 <= len(held) <= 45


def test_with_folds_each_sample_judges_once() -> None:
    """Three folds hold every question out once; accuracies agree with those of one fold, within chance."""
    tokens = torch.randint(0, 8, (300, 12), generator=torch.Generator().manual_seed(0))
    truth = token_truth(tokens)
    assert truth is not None
    one, three = (probe_levels(Planted(), truth, kind="ridge", folds=folds, layers=["parts.0"]) for folds in (None, 3))
    own, all_of_them = one.probes["this token"], three.probes["this token"]

    assert all_of_them.num_held_out == len(truth.levels[0].labels) > own.num_held_out
    assert all_of_them.accuracy[1] == own.accuracy[1] == 1
    with pytest.raises(BatchError, match="folds"):
        probe_levels(Planted(), truth, folds=1, layers=["parts.0"])


def test_own_labels_are_questions_too() -> None:
    """A user's labels of places are probed by name; -1 is no label; a wrong shape is an error."""
    tokens = torch.randint(0, 8, (300, 12), generator=torch.Generator().manual_seed(0))
    labels = torch.where(tokens < 6, tokens // 2, -1)
    truth = own_truth(tokens, {"pair": labels})
    found = probe_levels(Planted(), truth, kind="ridge", layers=["parts.0"])

    assert truth.levels[0].classes == ("0", "1", "2")
    assert found.probes["pair"].accuracy[1] == 1
    with pytest.raises(DataError, match="whole number"):
        own_truth(tokens, {"pair": labels[:, :5]})


def test_scenes_are_asked_about_what_is_drawn_there() -> None:
    """Edges, textures, parts and objects in the lesson's order; shapes of bodies are no parts; places lie in the image."""
    truth = scene_truth(samples=300)

    assert [level.name for level in truth.levels] == ["edge", "texture", "part", "object"]
    assert set(truth.levels[2].classes) <= {"wheel", "window", "eye", "mouth", "door"}
    assert all(level.places.max() < 32 * 32 for level in truth.levels)
    assert truth.inputs.shape == (300, 3, 32, 32)


def test_english_is_asked_at_the_ends_of_words() -> None:
    """What stands at a place that is asked for its word ends in the word's last letter; pronouns have a referent."""
    truth = english_truth(documents=900)
    words = next(level for level in truth.levels if level.name == "word")
    pronouns = next(level for level in truth.levels if level.name == "referent")

    assert [level.name for level in truth.levels] == [
        "character", "word", "part of speech", "phrase", "sentence", "referent", "topic",
    ]  # fmt: skip
    for sample, place, label in list(zip(words.samples, words.places, words.labels, strict=True))[::50]:
        word = words.classes[label]
        assert "".join(CHARACTERS[token] for token in truth.inputs[sample, place + 1 - len(word) : place + 1].tolist()) == word
    ends = [
        truth.decode(truth.inputs[s, : p + 1].tolist()).split(" ")[-1]
        for s, p in zip(pronouns.samples, pronouns.places, strict=True)
    ]
    assert set(ends) <= {"he", "she", "it", "him", "her"}


@pytest.mark.slow
def test_code_is_asked_for_its_levels() -> None:
    """All seven levels come of held-out sources, at the ends of tokens but for characters."""
    truth = code_truth(size=400_000)

    assert [level.name for level in truth.levels][:2] == ["character", "token"]
    assert len(truth.levels) == 7
    keywords = truth.levels[1]
    sample, place = next(
        (s, p)
        for s, p, label in zip(keywords.samples, keywords.places, keywords.labels, strict=True)
        if keywords.classes[label] == "keyword"
    )
    assert truth.decode is not None
    assert truth.decode(truth.inputs[sample, place : place + 1].tolist()).isalpha()


def test_recipes_are_whole() -> None:
    """Each reference builds, its data fit its inputs, and an unknown name is an error."""
    for name, found in REFERENCES.items():
        assert sum(p.numel() for p in untrained_reference(name).parameters()) > 100_000
        assert found.asked.steps >= 100
    with pytest.raises(TargetError, match="scenes"):
        find_reference("scene")


def test_truth_of_few_tokens_is_none() -> None:
    """Where no token comes often enough there is nothing to ask."""
    assert token_truth(torch.arange(40).reshape(4, 10)) is None
    assert isinstance(token_truth(torch.arange(4000).reshape(400, 10) % 4), GroundTruth)
