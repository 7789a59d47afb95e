"""Parameters and operations of the reference networks are those of their sources."""

from dataclasses import replace

import pytest

from fathometer.networks import build
from fathometer.scaling import (
    backward_flops,
    flops_by_group,
    forward_flops,
    forward_flops_per_token,
    num_parameters,
    parameters_by_group,
    run_flops,
    training_flops,
)
from fathometer.spec import PRESETS, RESIDUAL_KINDS, ConvNet, Mlp, Transformer, preset
from fathometer.spec.residual import NORMED

# Exact parameters with option A, BatchNorm and the readout's bias; multiply-adds in millions.
CIFAR = {20: (269_722, 40.6), 32: (464_154, 68.9), 44: (658_586, 97.2), 56: (853_018, 125.5), 110: (1_727_962, 252.9)}
# Exact parameters; multiply-adds in thousand millions.
IMAGENET = {
    18: (11_689_512, 1.814),
    34: (21_797_672, 3.664),
    50: (25_557_032, 4.089),
    101: (44_549_160, 7.801),
    152: (60_192_808, 11.514),
}
GPT2 = {"gpt2": 124_439_808, "gpt2-medium": 354_823_168, "gpt2-large": 774_030_080, "gpt2-xl": 1_557_611_200}
# Table D.1 of Brown et al. 2020: parameters in millions, operations for 300B tokens.
GPT3 = {
    "small": (125, 2.25e20),
    "medium": (356, 6.41e20),
    "large": (760, 1.37e21),
    "xl": (1320, 2.38e21),
    "2.7b": (2650, 4.77e21),
    "6.7b": (6660, 1.20e22),
    "13b": (12_850, 2.31e22),
    "175b": (174_600, 3.14e23),
}
TRANSFORMERS = [name for name in PRESETS if name.startswith(("gpt", "llama"))]


@pytest.mark.parametrize("depth", CIFAR)
def test_cifar_resnets(depth: int) -> None:
    """ResNet-20 to 110 have exactly the known parameters, and the known multiply-adds to the printed digit."""
    parameters, millions = CIFAR[depth]

    assert num_parameters(preset(f"resnet-{depth}")) == parameters
    assert forward_flops(preset(f"resnet-{depth}")) / 2e6 == pytest.approx(millions, abs=0.051)  # one decimal is printed


@pytest.mark.parametrize("depth", IMAGENET)
def test_imagenet_resnets(depth: int) -> None:
    """ResNet-18 to 152 have exactly the parameters of the published ones, and their multiply-adds within 0.1%."""
    parameters, billions = IMAGENET[depth]

    assert num_parameters(preset(f"resnet-{depth}")) == parameters
    assert forward_flops(preset(f"resnet-{depth}")) / 2e9 == pytest.approx(billions, rel=1e-3)


@pytest.mark.parametrize("depth", [20, 56])
def test_a_plain_twin_costs_the_same(depth: int) -> None:
    """Shortcuts of kind A are free, so the plain twin costs as much; those of kind B are not."""
    spec = preset(f"resnet-{depth}")
    plain, projected = preset(f"plain-{depth}"), preset(f"resnet-{depth}@shortcut=B")

    assert (num_parameters(plain), forward_flops(plain)) == (num_parameters(spec), forward_flops(spec))
    assert num_parameters(projected) - num_parameters(spec) == 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert parameters_by_group(projected)["shortcuts"] == 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64


def test_without_norms_convolutions_have_biases() -> None:
    """A norm has a gain and a bias for each channel, and a convolution without one a bias: one number less."""
    normed, bare = num_parameters(ConvNet()), num_parameters(ConvNet(norm=None))

    assert normed - bare == 7 * 16 + 6 * 32 + 6 * 64


@pytest.mark.parametrize("name", GPT2)
def test_gpt2(name: str) -> None:
    """The four sizes have exactly the parameters of the released weights."""
    assert num_parameters(preset(name)) == GPT2[name]


@pytest.mark.parametrize("size", GPT3)
def test_gpt3(size: str) -> None:
    """Parameters are within 0.4% of table D.1, and 6·N·D within 0.2% of its operations, rows with a flag too."""
    spec, (millions, flops) = preset(f"gpt3-{size}"), GPT3[size]

    assert num_parameters(spec) == pytest.approx(millions * 1e6, rel=0.004)
    assert run_flops(millions * 1e6, 300e9) == pytest.approx(
        flops, rel=0.002
    )  # the table prints three digits: off by 0.17% at most


def test_the_flagged_width_would_miss_the_table() -> None:
    """GPT-3 13B with the width that its row prints is 0.8% above table D.1: the control of the flag."""
    printed = replace(preset("gpt3-13b"), width=5140, heads=20)

    assert num_parameters(printed) / 12_850e6 == pytest.approx(1.008, abs=5e-4)


@pytest.mark.parametrize(("name", "billions"), [("llama3-8b", 8.03), ("llama3-70b", 70.55), ("llama3-405b", 405.85)])
def test_llama3(name: str, billions: float) -> None:
    """Grouped queries, a gated MLP and an untied readout add up to the published counts."""
    assert num_parameters(preset(name)) / 1e9 == pytest.approx(billions, abs=0.0051)  # two decimals are printed


@pytest.mark.parametrize("name", [name for name in TRANSFORMERS if name.startswith("gpt")])
def test_the_textbook_formula(name: str) -> None:
    """V·d + T·d + L(12d² + 13d) + 2d: a tied head, biases and LayerNorm's gains and biases."""
    spec = preset(name)
    L, d = spec.depth, spec.width

    assert num_parameters(spec) == spec.vocabulary * d + spec.context * d + L * (12 * d * d + 13 * d) + 2 * d


@pytest.mark.parametrize("name", [name for name in TRANSFORMERS if name.startswith("gpt")])
def test_the_textbook_operations(name: str) -> None:
    """One token takes L(24d² + 4·T·d) + 2·V·d: 2 for each weight of a matrix, and attention over T places."""
    spec = preset(name)
    L, d, T = spec.depth, spec.width, spec.context

    assert forward_flops_per_token(spec) == L * (24 * d * d + 4 * T * d) + 2 * spec.vocabulary * d


def test_a_causal_mask_leaves_half_of_the_pairs() -> None:
    """Counting only what the mask leaves takes T(T + 1)/2 of T² pairs; without a mask nothing is left out."""
    spec = preset("gpt2")
    full, causal = (flops_by_group(spec, 1024, pairs=pairs)["attention scores"] for pairs in ("full", "causal"))
    unmasked = replace(spec, causal=False)

    assert causal * 2 * 1024 == full * 1025
    assert forward_flops(unmasked, pairs="causal") == forward_flops(unmasked)


def test_vit_b_16() -> None:
    """The blocks of ViT-B/16 at 224: 197 tokens, 12 of width 768; with its patches and readout the published 17.564 GMAC."""
    groups = flops_by_group(Transformer(causal=False, context=197), 197)
    blocks = sum(groups[group] for group in ("attention", "attention scores", "mlp"))
    patches, readout = 2 * 196 * 768 * 768, 2 * 768 * 1000

    assert blocks == 12 * (197 * 24 * 768**2 + 4 * 197**2 * 768)
    assert (blocks + patches + readout) / 2e9 == pytest.approx(17.564, abs=5e-4)  # three decimals are printed


@pytest.mark.parametrize("name", ["he-50", "resnet-20", "gpt2"])
def test_backward_is_twice_forward(name: str) -> None:
    """Training takes three forward passes, and a fourth where activations are made again."""
    spec = preset(name)
    forward = forward_flops(spec)

    assert (backward_flops(spec), training_flops(spec), training_flops(spec, recompute=True)) == (
        2 * forward,
        3 * forward,
        4 * forward,
    )


@pytest.mark.parametrize("norm", ["layer", "rms", "batch"])
@pytest.mark.parametrize("residual", RESIDUAL_KINDS)
def test_a_perceptron_has_as_many_as_it_is_built_with(residual: str, norm: str) -> None:
    """The closed form of every residual kind and norm equals a count over the built network."""
    spec = Mlp(
        depth=3,
        width=7,
        inputs=5,
        outputs=2,
        residual=residual,
        norm=norm if residual in (*NORMED, "none") else None,
        branch_layers=1 if residual == "none" else 2,
    )

    assert num_parameters(spec) == sum(tensor.numel() for tensor in build(spec, device="meta").parameters())


@pytest.mark.parametrize("name", PRESETS)
def test_groups_add_up(name: str) -> None:
    """Every preset has a cost, by groups that add up."""
    spec = preset(name)

    assert sum(parameters_by_group(spec).values()) == num_parameters(spec) > 0
    assert sum(flops_by_group(spec).values()) == forward_flops(spec) > 0


@pytest.mark.parametrize(
    ("change", "more"),
    [
        ({"bias": False}, -12 * 9 * 768 - 12 * 2 * 768 - 768),
        ({"tied": False}, 50257 * 768),
        ({"norm": "rms"}, -25 * 768),
        ({"positions": "rope"}, -1024 * 768),
        ({"residual": "peri-norm"}, 24 * 2 * 768),
        ({"residual": "post-norm"}, -2 * 768),
        ({"residual": "rezero"}, -25 * 2 * 768 + 24),
        ({"residual": "layerscale"}, -25 * 2 * 768 + 24 * 768),
        ({"kv_heads": 4}, -12 * 2 * 8 * 64 * 769),
        ({"gated": True}, 12 * (768 + 1) * 3072),
        ({"qk_norm": True}, 12 * 2 * 64),
    ],
    ids=str,
)
def test_what_an_ingredient_adds_to_gpt2(change: dict[str, object], more: int) -> None:
    """Each ingredient of depth changes the count by what it is made of."""
    assert num_parameters(replace(preset("gpt2"), **change)) - GPT2["gpt2"] == more
