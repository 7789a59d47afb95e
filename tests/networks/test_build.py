"""Building: seeded, anywhere, and without a trace in torch's generators."""

import pytest
import torch

from fathometer.errors import SpecError
from fathometer.networks import build
from fathometer.scaling import num_parameters
from fathometer.spec import PRESETS, RESIDUAL_KINDS, ConvNet, Mlp, Spec, Transformer

MLPS = [name for name, entry in PRESETS.items() if isinstance(entry.spec, Mlp)]
NARROW = ["gpt2@width=128,vocabulary=500", "llama3-8b@width=64,vocabulary=500", "gpt3-175b@width=16,vocabulary=500"]


def example(spec: Spec) -> torch.Tensor:
    """Return two inputs that a network of this spec takes; images are smaller than its own."""
    generator = torch.Generator().manual_seed(0)
    if isinstance(spec, Transformer):
        return torch.randint(0, spec.vocabulary, (2, min(8, spec.context)), generator=generator)
    shape = (spec.channels, 32, 32) if isinstance(spec, ConvNet) else (spec.inputs,)
    return torch.randn(2, *shape, generator=generator)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_built_in_full_size(name: str) -> None:
    """Every preset has its shapes on the meta device at once, as many numbers as the closed form says."""
    model = build(name, device="meta")

    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert sum(parameter.numel() for parameter in model.parameters()) == num_parameters(model.spec)


@pytest.mark.parametrize(("name", "outputs"), [("gpt3-175b", (2, 8, 50257)), ("resnet-152", (2, 1000)), ("tanh-50", (2, 10))])
def test_on_meta_a_network_runs_without_numbers(name: str, outputs: tuple[int, ...]) -> None:
    """GPT-3 in full size takes tokens and gives logits, all shape and no memory; so do the other families."""
    model = build(name, device="meta")

    assert model(example(model.spec).to("meta")).shape == outputs


@pytest.mark.parametrize("name", [*MLPS, "resnet-20", "plain-56", "resnet-18@width=8", "resnet-50@width=8", *NARROW])
def test_a_preset_runs(name: str) -> None:
    """A preset of each family, narrow where it is large, runs forward to finite numbers."""
    model = build(name)

    assert model(example(model.spec)).isfinite().all()


SPECS: dict[str, Spec] = {
    **{kind: Mlp(depth=2, width=8, residual=kind) for kind in RESIDUAL_KINDS},
    "convnet": ConvNet(depth=8, width=4),
    "transformer": Transformer(depth=2, width=8, vocabulary=5, context=4, tied=False),
}


@pytest.mark.parametrize("name", SPECS)
def test_building_leaves_the_global_generator_alone(name: str) -> None:
    """Torch's generator is neither read nor moved: its state is the same, and another state gives the same network."""
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build(SPECS[name])
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)

    assert torch.equal(first.readout.weight, build(SPECS[name]).readout.weight)


def test_the_seed_decides() -> None:
    """One seed gives one network, another seed another."""
    assert torch.equal(build("mlp-5", seed=3).readout.weight, build("mlp-5", seed=3).readout.weight)
    assert not torch.equal(build("mlp-5", seed=3).readout.weight, build("mlp-5", seed=4).readout.weight)


@pytest.mark.parametrize("name", ["mlp-5", "resnet-20@width=4", NARROW[0]])
def test_one_seed_gives_one_network_in_every_dtype(name: str) -> None:
    """A network in another dtype is the float32 network, rounded."""
    single, half = build(name).state_dict(), build(name, dtype=torch.bfloat16).state_dict()

    for key, value in single.items():
        assert half[key].dtype == (torch.bfloat16 if value.is_floating_point() else value.dtype)
        assert torch.equal(value.to(half[key].dtype), half[key])
    assert build("mlp-5", dtype=torch.float64).blocks[0].linear.bias.dtype == torch.float64


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
