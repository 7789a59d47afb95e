"""Linear pieces: the exact count against the constructions and against dense brute force."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fathometer.errors import BatchError, SpecError
from fathometer.instruments import pieces_on_line, regions_on_plane
from fathometer.networks import build
from fathometer.spec import Mlp
from fathometer.theory import ReluStack, folding_network, most_pieces_on_a_line, shallow_sawtooth, shallow_twin, tent_network

UNIT = (torch.zeros(1), torch.ones(1))
SQUARE = (torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))


def module_of(stack: ReluStack) -> nn.Sequential:
    """Return a construction as a torch module."""
    layers: list[nn.Module] = []
    for weight, bias in zip(stack.weights, stack.biases, strict=True):
        linear = nn.Linear(weight.shape[1], weight.shape[0]).double()
        linear.weight.data, linear.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Free(nn.Module):
    """A network with a skip, functional and in-place ReLUs, absolute values and a convolution: no chain of modules."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.conv = nn.Linear(6, 8), nn.Linear(8, 8), nn.Conv1d(1, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return 16 numbers for each sample."""
        signal = torch.relu(self.first(x))
        signal = signal + torch.nn.functional.relu_(self.second(signal)) - self.second(signal).abs()
        return nn.functional.leaky_relu(self.conv(signal[:, None]), 0.2).flatten(1)


def plain(seed: int) -> nn.Module:
    """Return a plain ReLU network with random weights and biases."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3))


def free(seed: int) -> nn.Module:
    """Return a network that is no chain, with random weights."""
    torch.manual_seed(seed)
    return Free()


def residual(seed: int) -> nn.Module:
    """Return one of our own networks with a stream."""
    return build(Mlp(depth=3, width=8, inputs=6, outputs=2, residual="plain", bias_std=0.5), seed=seed)


def brute_force(model: nn.Module, start: Tensor, end: Tensor, points: int) -> int:
    """Return the number of pieces seen on a dense grid: kinks are runs of second differences that are not 0."""
    t = torch.linspace(0, 1, points, dtype=torch.float64)[:, None]
    with torch.no_grad():
        values = model.double()(start.double() + t * (end - start).double()).numpy()
    model.float()
    second = np.abs(np.diff(values, n=2, axis=0)).max(axis=1)
    kinks = second > 1e-12 * np.abs(values).max()  # rounding leaves 1e-15; a bend of slope 1 leaves 1 / points
    return 1 + int((np.diff(kinks.astype(int), prepend=0) == 1).sum())


@pytest.mark.parametrize("folds", [1, 6, 12])
def test_the_tent_network_has_all_its_pieces(folds: int) -> None:
    """Exactly 2^k pieces, of slope ±2^k. Case 1 of the facts at k = 12: 4,096."""
    found = pieces_on_line(module_of(tent_network(folds)), *UNIT)

    assert found.count == 2**folds
    assert set(found.slopes[:, 0]) == {2.0**folds, -(2.0**folds)}


def test_the_shallow_twin_of_a_deep_network_has_its_pieces_and_equals_it() -> None:
    """From the places and values that were found one layer is made that equals the deep network, with a unit for each bend."""
    torch.manual_seed(3)
    deep = nn.Sequential(nn.Linear(1, 9), nn.ReLU(), nn.Linear(9, 9), nn.ReLU(), nn.Linear(9, 1)).double()
    deep[0].weight.data *= 20  # bends within the line
    found = pieces_on_line(deep, *UNIT)
    twin = shallow_twin(found.places, found.values[:, 0])
    x = torch.rand(1000, 1, dtype=torch.float64)

    assert found.count > 4
    assert twin.num_units == found.count - 1
    assert np.abs(twin(x.numpy()[:, 0]) - deep(x)[:, 0].detach().numpy()).max() < 1e-10  # sums of ten terms in float64
    assert pieces_on_line(module_of(shallow_sawtooth(6)), *UNIT).count == 64


@pytest.mark.parametrize("make", [plain, free, residual])
@pytest.mark.parametrize("seed", range(3))
def test_the_count_is_that_of_brute_force(make: Callable[[int], nn.Module], seed: int) -> None:
    """On random networks the exact count equals that of a dense grid; and no network has more than the bound."""
    model = make(seed)
    start, end = torch.randn(2, 6, generator=torch.Generator().manual_seed(seed)) * 3
    found = pieces_on_line(model, start, end)
    gaps = np.diff(found.places)
    points = 1_000_001
    # Two kinks within three grid steps are one to the grid: a seed where that happens would compare nothing.
    assert gaps.min() > 3 / points

    assert found.count == brute_force(model, start, end, points)
    assert found.count > 3
    assert make is not plain or found.count <= found.regions <= most_pieces_on_a_line([12, 12])


def test_a_straight_network_is_one_piece() -> None:
    """The control: without a function that bends there is one piece, and one region; dead units bend nothing."""
    line = nn.Sequential(nn.Linear(1, 5), nn.Linear(5, 1))
    dead = nn.Sequential(nn.Linear(1, 5), nn.ReLU(), nn.Linear(5, 1))
    nn.init.constant_(dead[2].weight, 0.0)

    assert (pieces_on_line(line, *UNIT).count, regions_on_plane(nn.Linear(2, 1), *SQUARE).count) == (1, 1)
    assert pieces_on_line(dead, *UNIT).count == 1
    assert pieces_on_line(dead, torch.full((1,), -9.0), torch.full((1,), 9.0)).regions > 1


@pytest.mark.parametrize(("widths", "regions"), [((4, 4, 4), 176), ((12,), 79), ((4, 6), 88)])
def test_the_folding_network_has_all_its_regions(widths: tuple[int, ...], regions: int) -> None:
    """Montúfar's construction attains its bound on a plane: 176 for [4, 4, 4]; one layer of 12 has 79. Case 4."""
    found = regions_on_plane(module_of(folding_network(widths, 2)), *SQUARE)

    assert found.count == regions
    assert found.areas.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_regions_on_a_plane_are_those_of_a_dense_grid(seed: int) -> None:
    """Each pattern of active units on a grid of a million points has its region, and each region wider than the grid is met."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 1))
    corners = torch.randn(3, 2) * 3
    found = regions_on_plane(model, *corners)
    side = torch.linspace(0, 1, 1000, dtype=torch.float64)
    s, t = (part.reshape(-1, 1) for part in torch.meshgrid(side, side, indexing="ij"))
    patterns = set(active(model, corners, torch.cat([s, t], 1)))
    middles = torch.from_numpy(np.array([polygon.mean(axis=0) for polygon in found.polygons]))
    own = active(model, corners, middles)

    assert patterns <= set(own)
    assert len(set(own)) == len(own)  # here each pattern is one convex region
    assert {pattern for pattern, area in zip(own, found.areas, strict=True) if area > 1e-4} <= patterns
    assert found.count > 10


def active(model: nn.Module, corners: Tensor, places: Tensor) -> list[bytes]:
    """Return for each place on the plane which units are active."""
    base, right, up = corners.double()
    double = model.double()
    x = base + places[:, :1] * (right - base) + places[:, 1:] * (up - base)
    with torch.no_grad():
        first = double[0](x)
        second = double[2](torch.relu(first))
    model.float()
    return [row.tobytes() for row in (torch.cat([first, second], 1) > 0).numpy()]


def test_looking_changes_nothing() -> None:
    """Weights, their type and the mode are as they were."""
    model = plain(0).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pieces_on_line(model, torch.zeros(6), torch.ones(6))

    assert model.training
    assert all(torch.equal(value, before[name]) and value.dtype == torch.float32 for name, value in model.state_dict().items())


@pytest.mark.parametrize("bend", [nn.Tanh(), nn.GELU(), nn.LayerNorm(6), nn.Softmax(dim=1)])
def test_what_is_not_piecewise_linear_is_refused(bend: nn.Module) -> None:
    """A smooth function has no pieces, and no number is made up for it, on a line or on a plane."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 6), bend, nn.Linear(6, 2))
    with pytest.raises(SpecError, match="not a straight line"):
        pieces_on_line(model, torch.zeros(2), torch.ones(2))
    with pytest.raises(SpecError, match="not a straight line"):
        regions_on_plane(model, *SQUARE)


def test_ends_of_two_shapes_are_refused() -> None:
    """A line joins two samples, a plane three, of one shape."""
    with pytest.raises(BatchError, match="one shape"):
        pieces_on_line(plain(0), torch.zeros(6), torch.zeros(5))
    with pytest.raises(BatchError, match="one shape"):
        regions_on_plane(plain(0), torch.zeros(6), torch.zeros(6), torch.zeros(5))
