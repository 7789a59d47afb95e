"""Training without weights: equal to torch's own optimizers where the weights are made."""

import pytest
import torch
from torch import nn

from fathometer.contract import loss_of
from fathometer.diagnosis.full_size.first_steps import first_steps
from fathometer.diagnosis.full_size.unmade import unmade_network
from fathometer.diagnosis.own_batch import own_data
from fathometer.implicit import Rule, implicit_weights
from fathometer.implicit.draws import seed_of
from fathometer.implicit.streamed import tiles
from fathometer.networks import build
from fathometer.spec import Transformer

SPEC = Transformer(depth=2, width=16, heads=2, vocabulary=24, context=4)
BATCHES = [(inputs[:4], targets[:4]) for inputs, targets in own_data(SPEC)]
RULES = {
    "SGD": (Rule("sgd", 0.5), lambda own: torch.optim.SGD(own, lr=0.5)),
    "momentum": (Rule("sgd", 0.3, momentum=0.9), lambda own: torch.optim.SGD(own, lr=0.3, momentum=0.9)),
    "Adam": (Rule("adam", 3e-3), lambda own: torch.optim.Adam(own, lr=3e-3)),
}


def made(seed: int) -> nn.Module:
    """Return the network with the very weights that a streamed one draws again and again."""
    model, unmade = build(SPEC, seed=seed), unmade_network(SPEC, seed=seed, smallest=1)
    own = dict(model.named_parameters())
    for name, weight in implicit_weights(unmade).items():
        matrix = weight.matrix
        start = seed_of(seed, matrix.number, 0, 0)
        for rows, numbers in tiles(start, (matrix.rows, matrix.columns), matrix.std, matrix.kind, torch.empty(0)):
            own[name].data[rows] = numbers
    return model


@pytest.mark.parametrize("name", RULES)
def test_streamed_steps_are_those_of_torch(name: str) -> None:
    """With streamed weights the loss before each of six steps is that of torch's optimizer on the same weights, to rounding."""
    rule, optimizer_of = RULES[name]
    model = made(3)
    optimizer = optimizer_of(model.parameters())
    expected = []
    for step in range(6):
        inputs, targets = BATCHES[step]
        loss = loss_of(model(inputs), targets)
        assert loss is not None
        expected.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    found = first_steps(SPEC, rule, steps=5, method="streamed", seed=3, smallest=1, batches=BATCHES)

    # float32 sums in another order: 1e-6 in each step; Adam divides gradients near 0 by their own size and amplifies it
    assert found.losses == pytest.approx(expected, rel=2e-4 if name == "Adam" else 1e-5)
    assert abs(expected[-1] - expected[0]) > 0.01  # it moved


def test_the_wrong_rate_is_seen() -> None:
    """Negative control: steps 2% longer are told from those of torch."""
    right = first_steps(SPEC, Rule("sgd", 0.5), steps=5, method="streamed", smallest=1, batches=BATCHES)
    wrong = first_steps(SPEC, Rule("sgd", 0.51), steps=5, method="streamed", smallest=1, batches=BATCHES)

    assert wrong.losses != pytest.approx(right.losses, rel=2e-4)


def test_a_step_without_weights_has_a_profile() -> None:
    """Sampled steps give a loss, a profile and a size of the stream for each moment, and learn what is to be learnt."""
    found = first_steps(SPEC, Rule("adam", 1e-2), steps=8, smallest=1, batches=BATCHES[:1])

    assert len(found.losses) == len(found.profiles) == len(found.sizes) == 9
    assert found.losses[-1] < 0.9 * found.losses[0]
    assert all(profile.known("gradient") for profile in found.profiles)
