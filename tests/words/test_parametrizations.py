"""Each parametrization gives the std of its paper, and torch's own functions agree."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fathometer.errors import SpecError
from fathometer.parametrizations import PARAMETRIZATIONS, Scale, Tensor, find_parametrization

SHAPES = [(300, 300), (200, 400), (400, 200)]
RELU = 2**0.5
tensors = st.builds(
    Tensor,
    role=st.sampled_from(["input", "embedding", "query_key", "hidden", "branch_last", "output"]),
    fan_in=st.integers(1, 100_000),
    fan_out=st.integers(1, 100_000),
    depth=st.integers(1, 1000),
    branch_layers=st.integers(1, 4),
    activation_gain=st.sampled_from([1.0, RELU, 5 / 3]),
)


def torch_default(weight: torch.Tensor) -> None:
    """Fill a matrix as a new `torch.nn.Linear` is filled."""
    weight.copy_(torch.nn.Linear(weight.shape[1], weight.shape[0]).weight)


TORCH: dict[str, Callable[[torch.Tensor], object]] = {
    "pytorch": torch_default,
    "xavier": torch.nn.init.xavier_normal_,
    "he": lambda weight: torch.nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "orthogonal": lambda weight: torch.nn.init.orthogonal_(weight, gain=RELU),
}


def scale_of(name: str, role: str = "hidden", **facts: float) -> Scale:
    """Return the scale of a 256 → 256 matrix behind a ReLU, with some facts changed."""
    sizes = {"fan_in": 256, "fan_out": 256, "activation_gain": RELU, **facts}
    return find_parametrization(name)(Tensor(role, **sizes))


@pytest.mark.parametrize(("fan_in", "fan_out"), SHAPES)
@pytest.mark.parametrize("name", TORCH)
def test_torch_draws_with_this_std(name: str, fan_in: int, fan_out: int) -> None:
    """A matrix that torch's own function fills has the std of the table."""
    torch.manual_seed(0)
    weight = torch.empty(fan_out, fan_in)
    with torch.no_grad():
        TORCH[name](weight)

    # 80,000 entries: the std of a std is 1/√160,000 = 0.25% (less for uniform and orthogonal); four of them.
    assert scale_of(name, fan_in=fan_in, fan_out=fan_out).weight_std == pytest.approx(weight.std().item(), rel=0.01)


def test_torch_default_biases_have_this_std() -> None:
    """The biases of `torch.nn.Linear` have the std of the table, and a uniform distribution."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(100, 40_000)
    scale = scale_of("pytorch", fan_in=100)

    # 40,000 uniform numbers: 1/√(5 · 40,000) = 0.22% for the std of a std; four of them.
    assert scale.bias_std == pytest.approx(layer.bias.std().item(), rel=0.01)
    assert layer.weight.abs().max().item() <= scale.weight_std * 3**0.5
    assert scale.distribution == "uniform"


@pytest.mark.parametrize(
    ("name", "std"),
    [
        ("pytorch", 1 / math.sqrt(3 * 256)),
        ("lecun", 1 / 16),
        ("xavier", math.sqrt(2 / 512)),
        ("he", math.sqrt(2) / 16),
        ("orthogonal", math.sqrt(2) / 16),
    ],
)
def test_the_std_of_a_square_matrix(name: str, std: float) -> None:
    """The std at 256 → 256 behind a ReLU is that of the formula."""
    assert scale_of(name).weight_std == pytest.approx(std, rel=1e-12)  # two square roots, rounded


def test_those_that_start_from_he_or_orthogonal_know_the_activation() -> None:
    """The gain of the activation moves He, orthogonal, Fixup, and μP and its kin, which start from He's; and no other."""
    moved = [name for name in PARAMETRIZATIONS if scale_of(name) != scale_of(name, activation_gain=1.0)]

    assert moved == ["he", "orthogonal", "fixup", "mup", "depth-mup", "completep"]


def test_fixup_of_resnet_38() -> None:
    """With 18 blocks of two matrices Fixup's factor is 18^-½ = .2357 inside a branch (Zhang et al. 2019)."""
    factor = scale_of("fixup", depth=18, branch_layers=2).weight_std / scale_of("he").weight_std

    assert factor == pytest.approx(0.2357, abs=5e-5)  # four digits are printed


@pytest.mark.parametrize(("branch_layers", "factor"), [(1, 1.0), (2, 0.125), (3, 64**-0.25), (4, 0.5)])
def test_fixup_by_the_length_of_the_branch(branch_layers: int, factor: float) -> None:
    """With 64 blocks the factor inside a branch of m matrices is 64^(-1/(2m-2)); a branch of one has no inside."""
    scale = scale_of("fixup", depth=64, branch_layers=branch_layers)

    assert scale.weight_std / scale_of("he").weight_std == pytest.approx(factor, rel=1e-12)  # rounding of a power


@pytest.mark.parametrize("role", ["branch_last", "output"])
def test_fixup_starts_branches_and_readout_at_zero(role: str) -> None:
    """The last matrix of a branch and the readout start at 0; under He they do not."""
    assert scale_of("fixup", role=role).weight_std == 0
    assert scale_of("he", role=role).weight_std > 0


@settings(deadline=None)
@given(tensor=tensors)
@pytest.mark.parametrize("name", PARAMETRIZATIONS)
def test_a_scale_is_finite_and_shrinks_with_fan_in(name: str, tensor: Tensor) -> None:
    """Any tensor gets a finite std of at least 0, and a larger fan-in never a larger std."""
    scale = find_parametrization(name)(tensor)
    wider = find_parametrization(name)(Tensor(tensor.role, tensor.fan_in * 2, tensor.fan_out, tensor.depth, tensor.branch_layers))

    assert 0 <= scale.weight_std < math.inf
    assert 0 <= scale.bias_std < math.inf
    assert wider.weight_std <= scale.weight_std


def test_a_parametrization_is_filed_under_its_name() -> None:
    """The catalogue's keys are the names of the functions, with hyphens."""
    assert [function.__name__.replace("_", "-") for function in PARAMETRIZATIONS.values()] == list(PARAMETRIZATIONS)


def test_an_unknown_parametrization_is_a_spec_error() -> None:
    """A name that is not in the catalogue is answered with the nearest one."""
    with pytest.raises(SpecError, match='Did you mean "xavier"'):
        find_parametrization("xaveir")
