"""The places that a unit likes are those where it is most active, by hand."""

import pytest
import torch
from torch import Tensor, nn

from fathometer.errors import BatchError, SpecError
from fathometer.lenses import features
from fathometer.networks import build
from fathometer.spec import Transformer


class Dots(nn.Module):
    """Two convolutions that keep the image's size; unit 0 of the last one answers to a bright dot."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)])
        self.readout = nn.Linear(4, 2)
        with torch.no_grad():
            for block in self.blocks:
                block.weight.zero_()
                block.bias.zero_()
                block.weight[0, 0, 1, 1] = 1

    def forward(self, images: Tensor) -> Tensor:
        for block in self.blocks:
            images = block(images)
        return self.readout(images.mean((2, 3)))


def test_a_planted_dot_is_found_where_it_is() -> None:
    """In each image the best place is that of its dot, brightest first, with a patch around it that holds the dot."""
    images = torch.zeros(20, 1, 16, 16)
    places = [(sample % 10 + 3, sample // 2 + 3) for sample in range(20)]
    for sample, (down, across) in enumerate(places):
        images[sample, 0, down, across] = 1 + sample / 10
    found = features(Dots(), images, "blocks.1", units=[0], each=3)

    assert [one.sample for one in found.liked[0]] == [19, 18, 17]
    assert [divmod(one.place, 16) for one in found.liked[0]] == [places[19], places[18], places[17]]
    assert found.pictures is not None
    assert found.pictures.shape[:3] == (1, 3, 1)
    side = found.pictures.shape[-1]
    assert side <= 5
    assert found.pictures[0, 0, 0, side // 2, side // 2] == pytest.approx(1)


def test_the_best_of_many_batches_are_the_best_of_all(seed: int) -> None:
    """Kept while it streams, the eight best places over 200 texts are those of all activations at once."""
    model = build(Transformer(depth=2, width=8, vocabulary=11, context=6), seed=seed % 100)
    tokens = torch.randint(0, 11, (200, 6), generator=torch.Generator().manual_seed(seed))
    found = features(model, tokens, "blocks.1", units=[3, 5])
    with torch.no_grad():
        stream = model.embedding(tokens) + model.positions.weight
        for block in model.blocks:
            stream = block(stream)

    for unit, row in zip(found.units, found.liked, strict=True):
        strongest = stream[:, :, unit].max(1).values.sort(descending=True).values[:8]
        assert [one.activation for one in row] == pytest.approx(strongest.tolist(), rel=1e-4, abs=1e-5)
        assert all(stream[one.sample, one.place, unit] == pytest.approx(one.activation, rel=1e-4, abs=1e-5) for one in row)


def test_texts_show_the_token_in_its_context() -> None:
    """The token that is liked stands between «», the text around it is decoded; it is a token of that sample."""
    model = build(Transformer(depth=2, width=8, vocabulary=26, context=6))
    tokens = torch.randint(0, 26, (9, 6), generator=torch.Generator().manual_seed(0))
    found = features(model, tokens, decode=lambda some: "".join(chr(97 + token) for token in some))

    assert found.point == "blocks.1"
    assert found.texts is not None
    first = found.liked[0][0]
    text = "".join(chr(97 + token) for token in tokens[first.sample].tolist())
    assert found.texts[0][0] == f"{text[: first.place]}«{text[first.place]}»{text[first.place + 1 :]}"


@pytest.mark.parametrize("units", [[99], [0, 4], [-1], []])
def test_a_unit_that_there_is_not_is_an_error(units: list[int]) -> None:
    """The layer has four units, and they are said; the last of them is one."""
    images = torch.zeros(9, 1, 8, 8)

    assert features(Dots(), images, "blocks.1", units=[3]).units == (3,)
    with pytest.raises(SpecError, match="has units 0 to 3"):
        features(Dots(), images, "blocks.1", units=units)


def test_what_has_no_places_is_an_error() -> None:
    """Inputs of three axes, and a layer that is not there."""
    with pytest.raises(BatchError, match="four axes"):
        features(build("mlp-5"), torch.zeros(2, 3, 64))
    with pytest.raises((BatchError, SpecError), match="depth point"):
        features(Dots(), torch.zeros(4, 1, 8, 8), "blocks.9")
