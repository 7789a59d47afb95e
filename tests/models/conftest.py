"""What the tests on whole families of models share: one run, and the names of the blocks that are found."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fathometer.instruments import find_depth_points
from fathometer.instruments.trace import trace_of

Found = tuple[str, list[str]]


@pytest.fixture
def found() -> Callable[..., Found]:
    """Return what finds the depth points of a model that is run once: how they were found, and their names."""

    def find(model: nn.Module, *inputs: Tensor, layers: object = None) -> Found:
        torch.manual_seed(0)
        points = find_depth_points(model, trace_of(model, lambda: model(*inputs)), layers)
        return points.found_as, [point.name for point in points.points]

    return find
