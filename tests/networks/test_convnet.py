"""The whole convnet: its size, its formulas, its plain twin, and what goes in."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fathometer.errors import BatchError
from fathometer.networks import ConvNetwork, build
from fathometer.scaling import num_parameters
from fathometer.spec import ConvNet, preset

PARAMETERS = {
    "resnet-20": 269_722,  # He et al. 2016, section 4.2, with option A, BatchNorm and the readout's bias
    "resnet-32": 464_154,
    "resnet-44": 658_586,
    "resnet-56": 853_018,
    "resnet-110": 1_727_962,
    "resnet-18": 11_689_512,  # torchvision's, as published with its weights
    "resnet-34": 21_797_672,
    "resnet-50": 25_557_032,
    "resnet-101": 44_549_160,
    "resnet-152": 60_192_808,
}


def size(model: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def images_for(spec: ConvNet, seed: int, side: int = 32, batch: int = 2) -> Tensor:
    """Return Gaussian images."""
    return torch.randn(batch, spec.channels, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_resnet_has_its_published_size(name: str) -> None:
    """The parameters are those of the paper, or of torchvision, to the last one; so says the closed form."""
    assert size(build(name, device="meta")) == PARAMETERS[name] == num_parameters(preset(name))


def test_1202_layers_are_no_problem() -> None:
    """The deepest network of the paper has its 19.4 million parameters."""
    assert round(size(build(ConvNet(depth=1202), device="meta")) / 1e6, 1) == 19.4


@pytest.mark.parametrize("depth", [20, 56, 110])
def test_option_a_and_the_plain_twin_have_equal_parameters(depth: int) -> None:
    """Shortcuts of option A cost nothing: the twin has the same tensors, name by name; option B has more."""
    residual, plain = build(f"resnet-{depth}", device="meta"), build(f"plain-{depth}", device="meta")
    shapes = [{name: value.shape for name, value in model.state_dict().items()} for model in (residual, plain)]

    assert shapes[0] == shapes[1]
    assert size(build(f"resnet-{depth}@shortcut=B", device="meta")) > size(plain)


def test_only_the_shortcuts_tell_the_plain_twin_apart(seed: int) -> None:
    """With the same weights the twin's blocks are φ(f(x)), the others φ(shortcut(x) + f(x))."""
    residual, plain = build("resnet-20", seed=seed).eval(), build("plain-20", seed=seed).eval()
    plain.load_state_dict(residual.state_dict())
    images = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(seed))

    for one, two in zip(residual.blocks, plain.blocks, strict=True):
        branch = one.branch(images)
        torch.testing.assert_close(two(images), branch.relu())
        torch.testing.assert_close(one(images), (one.shortcut(images) + branch).relu())
        images = one(images)


# Written out from the paper alone: no module of ours, only its weights by name.
def normed_conv(images: Tensor, weights: dict[str, Tensor], name: str, norm: str, stride: int) -> Tensor:
    """Convolve, keeping the size, and norm over the batch."""
    kernel = weights[f"{name}.weight"]
    images = F.conv2d(images, kernel, stride=stride, padding=kernel.shape[-1] // 2)
    return F.batch_norm(images, None, None, weights[f"{norm}.weight"], weights[f"{norm}.bias"], training=True)


def resnet_50(images: Tensor, weights: dict[str, Tensor], classes: int = 10) -> Tensor:
    """Compute ResNet-50, v1.5, from its weights."""
    images = F.max_pool2d(normed_conv(images, weights, "stem.0", "stem.1", 2).relu(), 3, 2, 1)
    index = 0
    for stage, count in enumerate((3, 4, 6, 3)):
        for place in range(count):
            block, stride = f"blocks.{index}", 2 if stage and not place else 1
            inner = normed_conv(images, weights, f"{block}.branch.0", f"{block}.branch.1", 1).relu()
            inner = normed_conv(inner, weights, f"{block}.branch.3", f"{block}.branch.4", stride).relu()
            inner = normed_conv(inner, weights, f"{block}.branch.6", f"{block}.branch.7", 1)
            if place == 0:
                images = normed_conv(images, weights, f"{block}.shortcut.0", f"{block}.shortcut.1", stride)
            images = (images + inner).relu()
            index += 1
    return F.linear(images.mean((2, 3)), weights["readout.weight"], weights["readout.bias"])


def test_resnet_50_equals_an_independent_derivation(seed: int) -> None:
    """The same weights give the same logits and the same gradient of every weight as the paper written out."""
    model = build("resnet-50@classes=10", seed=seed, dtype=torch.float64)
    images = images_for(model.spec, seed, side=64, batch=4).double()
    weights = {name: value.detach().clone().requires_grad_() for name, value in model.named_parameters()}
    ours, theirs = model(images), resnet_50(images, weights)
    ours.square().sum().backward()
    theirs.square().sum().backward()

    # Double precision through 50 layers of BatchNorm, which amplify rounding a little.
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(
            parameter.grad, weights[name].grad, rtol=1e-6, atol=1e-8, msg=lambda text, at=name: f"{at}: {text}"
        )


def test_a_stride_in_the_first_convolution_would_be_noticed(seed: int) -> None:
    """The paper's own v1, with its stride in the 1×1, is another function of the same weights."""
    model = build("resnet-50@classes=10,width=16", seed=seed)
    images = images_for(model.spec, seed, side=64)
    before = model(images)
    for block in model.blocks:
        block.branch[0].stride, block.branch[3].stride = block.branch[3].stride, (1, 1)

    assert not torch.allclose(model(images), before, rtol=1e-2)


@pytest.mark.parametrize("stride", [1, 2])
def test_option_a_thins_and_pads(stride: int, seed: int) -> None:
    """Where shapes change, every second place is kept and the new channels are 0."""
    block = build("resnet-20").blocks[3 if stride == 2 else 1]
    images = torch.randn(2, 16, 9, 9, generator=torch.Generator().manual_seed(seed))
    short = block.shortcut(images)

    if stride == 1:
        assert torch.equal(short, images)
        return
    assert short.shape == (2, 32, 5, 5)
    assert torch.equal(short[:, :16], images[:, :, ::2, ::2])
    assert (short[:, 16:] == 0).all()


def test_a_last_gain_of_zero_starts_as_the_identity(seed: int) -> None:
    """With `zero_init_last` every branch is 0 at first, and its last gain gets a gradient; without it is not."""
    model = build("resnet-20@zero_init_last=on", seed=seed)
    images = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(seed))

    assert (model.blocks[0].branch(images) == 0).all()
    assert (build("resnet-20", seed=seed).blocks[0].branch(images) != 0).any()
    model(images_for(model.spec, seed)).square().sum().backward()
    assert (model.blocks[0].branch[-1].weight.grad != 0).any()


@pytest.mark.parametrize("shortcut", ["A", "B"])
@pytest.mark.parametrize("norm", ["batch", "layer", None])
@pytest.mark.parametrize("residual", ["post-activation", "none"])
@pytest.mark.parametrize("layout", ["cifar", "imagenet"])
@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_every_combination_runs_forward_and_back(
    block: str, layout: str, residual: str, norm: str | None, shortcut: str, seed: int
) -> None:
    """Any mix of options has finite logits, a finite gradient for every parameter, and the size of the closed form."""
    stages = (1, 2, 1) if layout == "cifar" else (1, 1, 2, 1)
    depth = 2 + sum(stages) * (2 if block == "basic" else 3)
    wiring = {"residual": residual, "norm": norm, "shortcut": shortcut, "branch_scale": 0.5}
    spec = ConvNet(layout=layout, depth=depth, stages=stages, block=block, width=4, channels=1, classes=7, **wiring)
    model = build(spec, seed=seed)
    logits = model(images_for(spec, seed, side=33, batch=3))
    logits.square().sum().backward()

    assert logits.shape == (3, 7)
    assert logits.isfinite().all()
    assert [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.isfinite().all()] == []
    assert size(model) == num_parameters(spec)


def test_mup_divides_the_logits_and_completep_the_branches(seed: int) -> None:
    """At twice the base's width logits are halved; at three times its layers in blocks each branch is a third."""
    spec = ConvNet(depth=20, width=16, init="completep", base_width=8, base_depth=8)
    model = build(spec, seed=seed).eval()
    signal = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(seed))
    block, answers = model.blocks[0], list[Tensor]()
    model.readout.register_forward_hook(lambda module, inputs, output: answers.append(output))

    torch.testing.assert_close(block(signal), (signal + block.branch(signal) / 3).relu())
    torch.testing.assert_close(model(images_for(spec, seed)), answers[0] / 2)


def test_the_parts_have_their_roles() -> None:
    """The stem is "input", the last convolution of a branch has a role of its own, and so has the readout."""
    roles = [role for role, _ in build(ConvNet(depth=8, shortcut="B"), device="meta").matrices()]

    inner = ["hidden", "branch_last"]
    assert roles == ["input", *inner, *inner, "hidden", *inner, "hidden", "output"]


@pytest.mark.parametrize(
    ("shape", "mend"),
    [
        ((2, 1, 32, 32), "channels = 1"),
        ((3, 32, 32), r"images\[None\]"),
        ((2, 32, 32, 3), r"movedim\(-1, 1\)"),
        ((2, 64), "Bring the images"),
    ],
    ids=["other channels", "no batch", "channels last", "no images"],
)
def test_images_that_do_not_fit_are_an_error_with_a_mend(shape: tuple[int, ...], mend: str) -> None:
    """The error says which shape was given, which was expected, and what to change."""
    with pytest.raises(BatchError, match=rf"(?s)\(batch, 3, height, width\).*{mend}"):
        build("resnet-20")(torch.zeros(shape))


def test_a_network_made_without_build_works_too(seed: int) -> None:
    """The module alone starts with torch's own numbers, and takes images of any size."""
    torch.manual_seed(seed)
    model = ConvNetwork(ConvNet(depth=8))

    assert model(images_for(model.spec, seed, side=17)).isfinite().all()
