"""Depth that trains and depth that does not: criticality, and the residual stream."""

import pytest

from fathometer.data import Batches, digits
from fathometer.networks import build
from fathometer.records import Asked
from fathometer.runs import train
from fathometer.spec import Mlp
from fathometer.training import evaluate, fit

RATES = (0.003, 0.01, 0.03, 0.1)
BEST_RATE = 0.01  # the best of RATES for the network that trains


def training_accuracy(weight_variance: float, depth: int, rate: float = BEST_RATE, width: int = 128) -> float:
    """Return the accuracy on the training digits of a tanh network, bias variance 0.05, after 300 steps of SGD."""
    data = digits()
    spec = Mlp(depth=depth, width=width, activation="tanh", init="lecun", gain=weight_variance**0.5, bias_std=0.05**0.5)
    model = build(spec)
    asked = Asked(steps=300, optimizer="sgd", learning_rate=rate)
    fit(model, Batches(data.train_inputs, data.train_targets, asked.batch_size, asked.seed), asked)
    accuracy = evaluate(model, [(data.train_inputs, data.train_targets)]).accuracy
    assert accuracy is not None
    return accuracy


def test_sixty_tanh_layers_train_at_the_edge_of_chaos_only() -> None:
    """At the critical weight variance 1.76 the signal reaches 60 layers deep; at 1.0, where it reaches 22, it does not.

    Schoenholz et al. 2017, "Deep information propagation".
    """
    assert training_accuracy(1.76, depth=60) > 0.9
    assert training_accuracy(1.0, depth=60) < 0.3


def test_it_is_the_depth_that_the_ordered_network_does_not_bear() -> None:
    """The control: the same weight variance of 1.0, rate and steps, within the depth that the signal reaches."""
    assert training_accuracy(1.0, depth=20) > 0.7


@pytest.mark.slow
def test_no_rate_saves_the_ordered_network() -> None:
    """At 60 layers and weight variance 1.0 each of four rates fails, a hundred times beyond the best one of the other."""
    assert max(training_accuracy(1.0, depth=60, rate=rate) for rate in RATES) < 0.3
    assert max(training_accuracy(1.76, depth=60, rate=rate) for rate in RATES) > 0.9


def final_loss(depth: int, residual: str) -> float:
    """Return the mean training loss of the last twenty of 400 steps of Adam on the digits, width 64."""
    record = train(Mlp(depth=depth, width=64, residual=residual), Asked(steps=400)).record
    assert record.status == "finished"
    return sum(record.losses[-20:]) / 20


def test_depth_degrades_a_plain_network_and_not_a_residual_one() -> None:
    """64 plain layers do worse on their own training data than 8; 64 residual blocks over √L do not. He et al. 2015."""
    assert final_loss(64, "none") > 0.5
    assert final_loss(64, "scaled") < 0.05


def test_at_a_depth_of_eight_the_plain_network_is_fine() -> None:
    """The control: neither the width nor the data nor the steps are what fails at 64."""
    assert final_loss(8, "none") < 0.05
