"""Gradients of single samples: at once equals one by one, and the numbers say what they should."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.instruments import per_sample, unchanged
from fathometer.instruments.per_sample import couples_samples, gradient_gram

SAMPLES, WIDTH = 10, 6
# Both ways add float32 products in another order.
CLOSE = {"rtol": 1e-4, "atol": 1e-6}


class Tokens(nn.Module):
    """An embedding, an encoder layer, and a readout with the embedding's own matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, WIDTH)
        self.layer = nn.TransformerEncoderLayer(WIDTH, 2, 12, dropout=0.0, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        return F.linear(self.layer(self.embed(tokens)).mean(1), self.embed.weight)


class Reading(nn.Module):
    """A layer that reads a number of its input, which `vmap` does not allow, and hands it on."""

    def forward(self, x: Tensor) -> Tensor:
        assert x.abs().max().item() < 1e6
        return x


class Named(nn.Module):
    """A network that is called with names and answers with a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2 * WIDTH, 4)

    def forward(self, left: Tensor, right: Tensor) -> dict[str, Tensor]:
        return {"logits": self.inner(torch.cat([left, right], dim=1).tanh())}


class Centred(nn.Module):
    """A layer of a user's own that takes the mean of the batch away."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=0)


def images() -> Tensor:
    """Return a batch of images."""
    return torch.randn(SAMPLES, 2, 5, 5)


def rows() -> Tensor:
    """Return a batch of rows."""
    return torch.randn(SAMPLES, WIDTH)


CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[], Any], bool]] = {
    "mlp": (lambda: nn.Sequential(nn.Linear(WIDTH, 8), nn.ReLU(), nn.Linear(8, 4)), rows, True),
    "frozen": (lambda: nn.Sequential(nn.Linear(WIDTH, 8).requires_grad_(False), nn.ReLU(), nn.Linear(8, 4)), rows, True),
    "images": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.GELU(), nn.Flatten(), nn.LazyLinear(4)), images, True),
    "tied tokens": (Tokens, lambda: torch.randint(0, 9, (SAMPLES, 5)), True),
    "names": (Named, lambda: {"left": rows(), "right": rows()}, True),
    "reads numbers": (lambda: nn.Sequential(Reading(), nn.Linear(WIDTH, 8), nn.Tanh(), nn.Linear(8, 4)), rows, False),
    "still batch norm": (lambda: nn.Sequential(nn.Linear(WIDTH, 8), nn.BatchNorm1d(8).eval(), nn.Linear(8, 4)), rows, True),
}


def twin(model: nn.Module, inputs: Any, targets: Tensor, size: int) -> Tensor:
    """Return the Gram matrix of the cross-entropy's gradients, from batches of one sample each."""
    gradients = []
    for index in range(size):
        one = {key: value[[index]] for key, value in inputs.items()} if isinstance(inputs, dict) else inputs[[index]]
        output = model(**one) if isinstance(inputs, dict) else model(one)
        logits = output["logits"] if isinstance(output, dict) else output
        loss = F.cross_entropy(logits, targets[[index]])
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        gradients.append(torch.cat([part.reshape(-1) for part in torch.autograd.grad(loss, parameters)]).double())
    whole = torch.stack(gradients)
    return whole @ whole.T


def cross_entropy(output: Any, targets: Tensor) -> Tensor:
    """Return the loss of an output, also of one in a dictionary."""
    return F.cross_entropy(output["logits"] if isinstance(output, dict) else output, targets)


@pytest.mark.parametrize("case", CASES)
def test_gradients_equal_those_of_batches_of_one(case: str) -> None:
    """Whether made at once or one by one: samples that do not know each other have the gradients they have alone."""
    torch.manual_seed(0)
    make, draw, at_once = CASES[case]
    inputs, targets, model = draw(), torch.arange(SAMPLES) % 4, make()
    model(**inputs) if isinstance(inputs, dict) else model(inputs)
    found = gradient_gram(model, (inputs, targets), cross_entropy)

    assert (found.at_once, found.is_coupled) == (at_once, False)
    assert len(found.gram) == (SAMPLES if at_once else 8)
    torch.testing.assert_close(found.gram, twin(model, inputs, targets, len(found.gram)), **CLOSE)


def test_batch_norm_is_read_within_the_batch() -> None:
    """With BatchNorm each sample's own loss is differentiated in the forward pass of the whole batch."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(WIDTH, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))
    inputs, targets = rows(), torch.arange(SAMPLES) % 4
    found = gradient_gram(model, (inputs, targets), cross_entropy)

    losses = F.cross_entropy(model(inputs), targets, reduction="none")
    parts = [torch.autograd.grad(loss, list(model.parameters()), retain_graph=True) for loss in losses[:8]]
    whole = torch.stack([torch.cat([part.reshape(-1) for part in each]) for each in parts]).double()
    assert found.is_coupled
    torch.testing.assert_close(found.gram, whole @ whole.T, **CLOSE)


def test_who_depends_on_whom_is_seen() -> None:
    """BatchNorm while it trains or without statistics, and a user's mean over the batch; not LayerNorm or BatchNorm at rest."""
    torch.manual_seed(0)
    linear = nn.Linear(WIDTH, WIDTH)

    assert couples_samples(nn.Sequential(linear, nn.BatchNorm1d(WIDTH)), rows())
    assert couples_samples(nn.Sequential(linear, Centred()), rows())
    assert not couples_samples(nn.Sequential(linear, nn.BatchNorm1d(WIDTH)).eval(), rows())
    assert couples_samples(nn.Sequential(linear, nn.BatchNorm1d(WIDTH, track_running_stats=False)).eval(), rows())
    assert not couples_samples(nn.Sequential(linear, nn.LayerNorm(WIDTH)), rows())


def test_the_default_number_is_one_projection_for_all_samples() -> None:
    """Of a linear network J(xᵢ)·J(xⱼ) = |v|² (xᵢ·xⱼ + 1), with or without `vmap`: v is the same for every sample."""
    torch.manual_seed(0)
    model, inputs = nn.Linear(WIDTH, 4), rows()
    expected = inputs.double() @ inputs.double().T + 1
    for each in (model, nn.Sequential(Reading(), model)):
        gram = gradient_gram(each, (inputs, None)).gram
        size = len(gram)
        torch.testing.assert_close(gram / gram[0, 0], expected[:size, :size] / expected[0, 0], **CLOSE)


def test_every_nth_entry_stands_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a twelfth of the entries of a wide network the numbers are nearly those of all of them."""
    torch.manual_seed(0)
    model, batch = nn.Sequential(nn.Linear(WIDTH, 2000), nn.Tanh(), nn.Linear(2000, 4)), (rows(), None)
    exact = gradient_gram(model, batch)
    monkeypatch.setattr(per_sample, "MAX_ENTRIES", 2000)
    sampled = gradient_gram(model, batch)

    assert not torch.equal(exact.gram, sampled.gram)
    # About 500 entries for each of four parameters: mean products are off by about 1/√500, the worst of 45 by three times that.
    torch.testing.assert_close(exact.gram, sampled.gram, rtol=0, atol=0.15 * float(exact.gram.diagonal().mean()))
    assert exact.spread is not None
    assert sampled.spread == pytest.approx(exact.spread, rel=0.15)


def test_equal_samples_cannot_be_told_apart() -> None:
    """Spread and smallest eigenvalue are 0 for equal samples, and near 1 for orthogonal ones; the loss's scale is not in it."""
    torch.manual_seed(0)
    model = nn.Linear(SAMPLES, 3, bias=False)
    same, other = gradient_gram(model, (torch.ones(SAMPLES, SAMPLES), None)), gradient_gram(model, (torch.eye(SAMPLES), None))

    assert same.spread == pytest.approx(0, abs=1e-14)
    assert same.mean_cosine == pytest.approx(1)
    assert same.smallest == pytest.approx(0, abs=1e-9)
    assert (other.spread, other.smallest) == (pytest.approx(1), pytest.approx(1))
    assert other.effective_rank == pytest.approx(SAMPLES - 1)
    loud = gradient_gram(model, (torch.eye(SAMPLES), None), lambda output, targets: 1e6 * output.sum())
    assert (loud.spread, loud.smallest) == (pytest.approx(1), pytest.approx(1))


@pytest.mark.parametrize("factor", [0.0, float("nan")])
def test_no_gradient_no_cosine(factor: float) -> None:
    """Where a gradient is zero or not finite, the numbers are None."""
    found = gradient_gram(nn.Linear(WIDTH, 3), (rows(), None), lambda output, targets: factor * output.sum())

    assert (found.spread, found.effective_rank, found.smallest, found.mean_cosine) == (None, None, None, None)


def test_a_frozen_network_has_no_gradients() -> None:
    """Nothing takes gradients, so there is nothing to compare."""
    found = gradient_gram(nn.Linear(WIDTH, 3).requires_grad_(False), (rows(), None))

    assert found.spread is None
    assert float(found.gram.abs().max()) == 0


def test_one_sample_says_nothing() -> None:
    """There is no pair to compare."""
    assert gradient_gram(nn.Linear(WIDTH, 3), (rows()[:1], None)).spread is None


def test_dropout_is_off_and_comes_back() -> None:
    """Chance would make equal samples differ; all is as before afterwards."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(WIDTH, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 3))
    quiet = nn.Sequential(model[0], nn.Dropout(0.5), model[3])
    state = {name: value.clone() for name, value in model.state_dict().items()}
    inputs = rows()
    with unchanged(model):
        gradient_gram(model, (inputs, None))
    assert gradient_gram(quiet, (rows()[:1].expand(SAMPLES, -1), None)).spread == pytest.approx(0, abs=1e-12)

    assert quiet[1].training
    assert model[1].training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
