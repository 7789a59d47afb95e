"""`assert_trains` in a test suite: it fails where the verdict is not allowed, and says why."""

import pytest
import torch
from torch import nn

from fathometer import assert_trains
from fathometer.errors import SpecError


def test_a_healthy_network_passes() -> None:
    """It returns the preflight of a network that trains."""
    assert assert_trains("mlp-5").verdict == "healthy"


def test_a_sick_network_fails_with_its_cause() -> None:
    """The text of the failure names the network, the verdict and the cause."""
    with pytest.raises(AssertionError, match=r"WILL NOT TRAIN[\s\S]*vanishing_gradient[\s\S]*allowed: healthy, at risk"):
        assert_trains("relu-50")


def test_what_is_allowed_is_up_to_the_test() -> None:
    """A verdict that is allowed passes; one sample is unknown, and that is no pass by itself."""
    assert assert_trains("relu-50", allow=("will not train",)).verdict == "will not train"
    layers = [nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)]
    one = nn.Sequential(*layers), (torch.ones(1, 4), torch.tensor([0]))
    with pytest.raises(AssertionError, match="UNKNOWN"):
        assert_trains(*one)
    assert assert_trains(*one, allow="unknown").verdict == "unknown"


def test_a_verdict_that_there_is_not_is_refused() -> None:
    """A misspelt verdict does not silently allow nothing."""
    with pytest.raises(SpecError, match='Did you mean "healthy"'):
        assert_trains("mlp-5", allow=("healty",))
