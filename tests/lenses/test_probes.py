"""Probes find what is there, do not find what is not, and are the probe by hand."""

import json

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from fathometer.data import digits
from fathometer.errors import BatchError
from fathometer.lenses import probe
from fathometer.networks import build
from fathometer.spec import Mlp


def test_a_dead_end_is_seen_where_it_is() -> None:
    """Fifty tanh layers as torch starts them lose the digits with depth; residual blocks of the same depth keep them."""
    data = digits()
    lost = probe(build("tanh-50"), data)
    kept = probe(build("residual-50"), data, layers=["blocks.0", "blocks.?9"])

    assert lost.points[:2] == ("input", "blocks.0")
    assert len(lost.points) == 51
    assert lost.accuracy[0] > 0.95
    assert lost.accuracy[-1] < 0.2
    assert kept.points == ("input", "blocks.0", "blocks.19", "blocks.29", "blocks.39", "blocks.49")
    assert min(kept.accuracy) > 0.9


def test_a_probe_equals_one_by_hand(seed: int) -> None:
    """The accuracy is that of scikit-learn's pipeline on the same activations and the same split."""
    data, model = digits(), build(Mlp(depth=2, width=20), seed=seed)
    found = probe(model, data)
    with torch.no_grad():
        train, test = model.blocks[0](data.train_inputs).numpy(), model.blocks[0](data.test_inputs).numpy()
    twin = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(train, data.train_targets)

    # One sample of 360, for rounding near a boundary and for the last iterations.
    assert found.accuracy[1] == pytest.approx(twin.score(test, data.test_targets), abs=1.5 / 360)
    assert (found.num_train, found.num_held_out) == (1437, 360)
    assert found.chance == pytest.approx(37 / 360)


def test_shuffled_labels_are_read_by_no_layer() -> None:
    """The control stays near chance at every depth of a random network, where the true labels are read well."""
    found = probe(build("mlp-5"), digits())

    # chance of 0.1 among 360 samples: standard deviation 0.016; five of them
    assert max(found.control) < 0.1 + 5 * 0.016
    assert min(found.accuracy) > 0.8


def test_labels_may_be_of_another_question(seed: int) -> None:
    """Any labels can be asked for; a quarter of each class is held out; one seed gives one answer."""
    inputs = torch.randn(200, 64, generator=torch.Generator().manual_seed(seed))
    labels = np.where(inputs[:, 0] > 0, "right", "left")
    model = build(Mlp(depth=2, width=256), seed=seed)
    found = probe(model, inputs, labels, seed=1)

    assert (found.num_train, found.num_held_out) == (150, 50)
    assert found.accuracy[0] > 0.75
    assert 0.5 <= found.chance < 0.65
    assert found == probe(model, inputs, labels, seed=1)
    assert found != probe(model, inputs, labels, seed=2)


def test_data_may_come_in_batches(seed: int) -> None:
    """Pairs (inputs, labels), as a loader gives them, are the same data in the same order."""
    inputs = torch.randn(120, 64, generator=torch.Generator().manual_seed(seed))
    labels = (inputs[:, 0] > 0).long()
    model = build(Mlp(depth=2, width=16), seed=seed)
    batches = list(zip(inputs.split(50), labels.split(50), strict=True))

    # Batches of another size are multiplied in another order, which may move one sample of 30 over a boundary.
    assert probe(model, batches).accuracy == pytest.approx(probe(model, inputs, labels).accuracy, abs=1.5 / 30)
    assert probe(model, batches, layers=["readout"]).points == ("input", "readout")


class Product(nn.Module):
    """A module that takes two inputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.bilinear = nn.Bilinear(3, 4, 5)

    def forward(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return self.bilinear(one, other)


@pytest.mark.parametrize("gather", [tuple, lambda parts: dict(zip(("one", "other"), parts, strict=True))], ids=["tuple", "dict"])
def test_inputs_may_be_several(gather, seed: int) -> None:
    """A tuple or a dictionary of tensors is cut into batches part by part; the first of them is point 0."""
    torch.manual_seed(seed)
    one = torch.randn(300, 3)
    found = probe(Product(), gather((one, torch.ones(300, 4))), (one[:, 0] > 0).long(), layers=["bilinear"])

    assert found.points == ("input", "bilinear")
    assert min(found.accuracy) > 0.9


def test_the_result_is_plain_numbers() -> None:
    """A result can be written as JSON."""
    found = probe(build("shallow-1"), digits())

    assert json.loads(json.dumps(found.to_dict()))["accuracy"] == list(found.accuracy)


def test_a_control_by_type_is_learned_by_heart_where_types_are_seen() -> None:
    """Random labels of types can be read where the type is in the layer, shuffled ones nowhere (Hewitt & Liang 2019)."""
    types = torch.arange(400) % 20
    inputs = torch.nn.functional.one_hot(types, 64).float() + 0.01 * torch.randn(
        400, 64, generator=torch.Generator().manual_seed(0)
    )
    labels = torch.randint(0, 2, (400,), generator=torch.Generator().manual_seed(1))
    by_type, shuffled = (probe(build("mlp-5"), inputs, labels, types=given).control[0] for given in (types, None))

    assert by_type > 0.95
    assert shuffled < 0.68  # 100 samples of two classes: 3.5 standard deviations


def test_with_folds_each_sample_is_held_out_once() -> None:
    """Cross-validated, all samples judge."""
    inputs = torch.randn(90, 64, generator=torch.Generator().manual_seed(0))
    found = probe(build("mlp-5"), inputs, (inputs[:, 0] > 0).long(), folds=3, kind="ridge")

    assert (found.num_train, found.num_held_out) == (60, 90)
    assert found.right.shape == (6, 90)
    assert sorted(found.groups.tolist()) == list(range(90))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "no labels"),
        (torch.zeros(9, dtype=torch.long), "8 samples"),
        (torch.zeros(8, dtype=torch.long), "at least two classes"),
        (torch.tensor([0, 0, 0, 0, 0, 0, 0, 1]), "the rarest 1 times"),
        (torch.linspace(0, 1, 8), "class numbers"),
    ],
)
def test_labels_that_cannot_be_probed_are_an_error(labels: torch.Tensor | None, message: str) -> None:
    """The error says what was given and what a probe needs."""
    with pytest.raises(BatchError, match=message):
        probe(build("mlp-5"), torch.zeros(8, 64), labels)
