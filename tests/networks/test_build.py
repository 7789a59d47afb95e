"""Building: seeded, anywhere, and without a trace in torch's generators."""

from dataclasses import replace

import pytest
import torch

from fathometer.errors import SpecError
from fathometer.networks import build
from fathometer.spec import PRESETS, RESIDUAL_KINDS, Mlp


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_built_and_run(name: str) -> None:
    """A preset is a network that runs forward to finite numbers."""
    assert build(name)(torch.ones(2, 64)).isfinite().all()


@pytest.mark.parametrize("kind", RESIDUAL_KINDS)
def test_building_leaves_the_global_generator_alone(kind: str) -> None:
    """Torch's generator is neither read nor moved: its state is the same, and another state gives the same network."""
    spec = Mlp(depth=2, width=8, residual=kind)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build(spec)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)

    assert torch.equal(first.readout.weight, build(spec).readout.weight)


def test_the_seed_decides() -> None:
    """One seed gives one network, another seed another."""
    assert torch.equal(build("mlp-5", seed=3).readout.weight, build("mlp-5", seed=3).readout.weight)
    assert not torch.equal(build("mlp-5", seed=3).readout.weight, build("mlp-5", seed=4).readout.weight)


def test_one_seed_gives_one_network_in_every_dtype() -> None:
    """A network in another dtype is the float32 network, rounded."""
    single, half = build("mlp-5"), build("mlp-5", dtype=torch.bfloat16)

    assert half.readout.weight.dtype == torch.bfloat16
    assert torch.equal(single.readout.weight.to(torch.bfloat16), half.readout.weight)
    assert build("mlp-5", dtype=torch.float64).blocks[0].linear.bias.dtype == torch.float64


def test_on_meta_there_are_shapes_and_no_numbers() -> None:
    """A network too big for any machine has its shapes at once."""
    model = build(replace(PRESETS["residual-1000"].spec, width=65_536), device="meta")

    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert model(torch.empty(2, 64, device="meta")).shape == (2, 10)


def test_torchs_default_device_and_dtype_are_met() -> None:
    """Inside `with torch.device(…)` a network is built there."""
    with torch.device("meta"):
        assert build("mlp-5").readout.weight.device.type == "meta"


def test_a_dtype_without_fractions_is_an_error() -> None:
    """Integers are no weights."""
    with pytest.raises(SpecError, match=r"Try torch\.float32"):
        build("mlp-5", dtype=torch.int64)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_one_seed_gives_one_network_on_every_device() -> None:
    """On a GPU the numbers are those of the CPU, bit for bit."""
    assert torch.equal(build("tanh-50").readout.weight, build("tanh-50", device="cuda").readout.weight.cpu())
